"""Azure, Vertex and Bedrock, switched on by the variables that their own SDKs read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pulse_gateway.config import Config, FetchConfig, ProviderConfig, decode
from pulse_gateway.environment import load_config
from pulse_gateway.errors import ConfigError
from pulse_gateway.gateway import Gateway

GOOGLE = "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global"


@pytest.mark.parametrize(
    ("environ", "name", "base_url"),
    [
        ({"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/"}, "azure", "https://r.openai.azure.com/"),
        ({"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/", "OPENAI_API_VERSION": "2024-10-21"}, "azure", "https://r.openai.azure.com?api-version=2024-10-21"),
        ({"AZURE_OPENAI_AD_TOKEN": "eyJ.a.b", "AZURE_OPENAI_BASE_URL": "https://r.openai.azure.com/openai/v1/"}, "azure", "https://r.openai.azure.com/openai/v1/"),
        ({"VERTEX_API_KEY": "AIza"}, "vertex", None),
        ({"VERTEX_API_KEY": "AIza", "GOOGLE_CLOUD_PROJECT": "p"}, "vertex", GOOGLE),
        ({"VERTEX_API_KEY": "AIza", "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "us-east5"}, "vertex", "https://us-east5-aiplatform.googleapis.com/v1beta1/projects/p/locations/us-east5"),
        ({"VERTEX_BASE_URL": "http://127.0.0.1:1", "GOOGLE_CLOUD_PROJECT": "p"}, "vertex", "http://127.0.0.1:1/v1beta1/projects/p/locations/global"),
        ({"VERTEX_BASE_URL": f"{GOOGLE}/x", "GOOGLE_CLOUD_PROJECT": "other"}, "vertex", f"{GOOGLE}/x"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_DEFAULT_REGION": "eu-west-1"}, "bedrock", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:1", "AWS_REGION": "eu-west-1"}, "bedrock", "http://127.0.0.1:1?region=eu-west-1"),
        ({"BEDROCK_BASE_URL": "https://bedrock-runtime.us-east-1.amazonaws.com", "AWS_REGION": "eu-west-1"}, "bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com"),
    ],
)  # fmt: skip
def test_the_environment_switches_them_on(environ: dict[str, str], name: str, base_url: str | None) -> None:
    config = load_config(environ=environ)
    assert list(config.providers) == [name]
    assert config.providers[name].base_url == base_url
    assert Gateway(config).router.candidates(f"{name}:m")[0].kind == name


@pytest.mark.parametrize(
    "environ",
    [
        {"AZURE_OPENAI_API_KEY": "k"},
        {"AWS_BEARER_TOKEN_BEDROCK": "k"},
        {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"},
        {"GOOGLE_CLOUD_PROJECT": "p"},
        {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json"},
    ],
)
def test_variables_that_may_be_meant_for_other_programs_switch_nothing_on(environ: dict[str, str]) -> None:
    assert load_config(environ=environ).providers == {}


def test_a_file_of_credentials_is_a_key_although_it_has_lines(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    file.write_text(json.dumps({"type": "service_account", "client_email": "a@b", "private_key": "-----\n"}, indent=1))
    config = load_config(environ={"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_APPLICATION_CREDENTIALS": str(file)})
    assert "private_key" in (config.providers["vertex"].key or "") and "private_key" not in repr(config.providers)
    Gateway(config)
    with pytest.raises(ConfigError, match="line break"):
        Gateway(Config(providers={"openai": ProviderConfig(key=config.providers["vertex"].key)}))


def test_a_region_of_the_environment_serves_a_written_provider() -> None:
    written = load_config(environ={"AWS_REGION": "ap-south-1"})
    assert written.providers == {}
    with pytest.raises(ConfigError, match="base_url is needed"):
        Gateway(Config(providers={"bedrock": ProviderConfig()}))


def test_bounds_of_fetching_are_settings_and_exceptions_are_checked_at_the_start() -> None:
    config = decode('[fetch]\nenabled = false\nports = [8080]\nallow_private = ["10.0.0.0/8", "files.corp"]', "x")
    assert config.fetch == FetchConfig(enabled=False, ports=(8080,), allow_private=["10.0.0.0/8", "files.corp"])
    Gateway(config)
    with pytest.raises(ConfigError, match=r"fetch\.allow_private"):
        Gateway(Config(fetch=FetchConfig(allow_private=["10.0.0.1/8"])))
