"""Amazon Bedrock's runtime: Converse in both forms, token counts, and a few models' own bodies."""
