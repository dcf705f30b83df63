"""Videos as a client of the server lives with them: over replicas, over a killed one, to the file that is fetched."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import httpx
import openai
import pytest
from pressure import make_key, metric, serving, until
from pulse_process import Pulse, Simulation, entries_of, run_pulse

from valkey_server import ValkeyProcess

OMNI, REPLICATE = "google:gemini-omni-1.1-flash", "replicate:google/veo-3.1"
CONFIG = """
[plans.starter]
videos = 2
[limits]
requests = "off"
[fetch]
allow_private = ["127.0.0.0/8"]
"""


def ask(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "prompt": "غروب الشمس فوق البتراء", "size": "1280x720", **more}


async def ended(http: httpx.AsyncClient, job_id: str, key: dict[str, str]) -> dict[str, Any]:
    async def over() -> dict[str, Any] | None:
        answer = await http.get(f"/v1/videos/{job_id}", headers=key)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found if found["status"] in {"completed", "failed"} else None

    job: dict[str, Any] = await until(over, "the job is over")
    return job


@pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
async def test_the_official_sdk_begins_watches_fetches_lists_and_deletes(pulse: Pulse) -> None:
    async with openai.AsyncOpenAI(base_url=f"{pulse.url}/v1", api_key=pulse.key, max_retries=0) as client:
        video = await client.videos.create_and_poll(
            model=OMNI, prompt="قطة تركض", seconds="4", size="1280x720", poll_interval_ms=1050
        )
        assert (video.status, video.progress, video.error) == ("completed", 100, None)
        content = await (await client.videos.download_content(video.id)).aread()
        assert content[4:8] == b"ftyp"
        listed = [each.id async for each in client.videos.list(limit=1)]
        assert video.id in listed
        assert (await client.videos.delete(video.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.videos.retrieve(video.id)


async def test_a_job_of_a_killed_server_is_seen_to_by_another_and_what_fails_is_given_back(
    database_url: str, simulation: Simulation
) -> None:
    key = {"authorization": f"Bearer {await asyncio.to_thread(make_key, database_url, '--plan', 'starter')}"}
    with ValkeyProcess() as redis:
        async with (
            serving(database_url, [redis.url] * 2, simulation, CONFIG) as [first, second],
            httpx.AsyncClient(base_url=first.url, trust_env=False, timeout=30) as one,
            httpx.AsyncClient(base_url=second.url, trust_env=False, timeout=30) as other,
        ):
            begun = await one.post("/v1/videos", json=ask(f"{OMNI}+fail=failed"), headers=key)
            assert begun.status_code == 200, begun.text
            kept = await one.post("/v1/videos", json=ask(REPLICATE), headers=key)
            assert kept.status_code == 200, kept.text
            refused = await other.post("/v1/videos", json=ask(OMNI), headers=key)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")

            failed = await ended(other, begun.json()["id"], key)
            assert failed["status"] == "failed" and failed["error"]["message"]

            async def given_back() -> bool:
                told = (await other.get("/v1/usage/me", headers=key)).json()["videos"]
                return bool(told["used"] == 1 and told["remaining"] == 1)

            await until(given_back, "the failed one is given back")
            assert (await one.post("/v1/videos", json=ask(REPLICATE), headers=key)).status_code == 200
            await until(lambda: _written(one), "the ledger has it all")
            await asyncio.to_thread(first.process.stop, signal.SIGKILL)

            done = await ended(other, kept.json()["id"], key)
            assert done["status"] == "completed"
            content = await other.get(f"/v1/videos/{done['id']}/content", headers=key)
            assert content.status_code == 200 and content.content[4:8] == b"ftyp"
            await until(lambda: _written(other), "the ledger has it all")
        rows = [row for row in await entries_of(database_url) if row["operation"] == "videos"]
        assert sum(row["videos"] for row in rows) == 2
        [correction] = [row for row in rows if row["reverses"] is not None and row["videos"] < 0]
        assert correction["reverses"] in {row["entry_id"] for row in rows}
        env = {"PULSE_DATABASE_URL": database_url, "PULSE_REDIS_URL": redis.url}
        verified = await asyncio.to_thread(run_pulse, "usage", "verify", env=env)
        assert verified.returncode == 0, verified.stdout + verified.stderr


async def _written(http: httpx.AsyncClient) -> bool:
    return await metric(http, "pulse_ledger_backlog") == 0


async def test_a_job_is_nobody_elses_and_odd_requests_are_answered(
    pulse: Pulse, http: httpx.AsyncClient, simulation: Simulation
) -> None:
    job = (await http.post("/v1/videos", json=ask(OMNI))).json()
    early = await http.get(f"/v1/videos/{job['id']}/content")
    assert (early.status_code, early.json()["error"]["param"]) == (400, "video_id")
    made = await asyncio.to_thread(
        run_pulse, "keys", "create", "--user", "video@example.com", env={"PULSE_DATABASE_URL": pulse.database_url}
    )
    stranger = {"authorization": f"Bearer {made.stdout.strip()}"}
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = await http.request(method, f"/v1/videos/{job['id']}{path}", headers=stranger)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert (await http.get("/v1/videos", headers=stranger)).json()["data"] == []
    nobody = {"authorization": "Bearer pls_wrong"}
    assert (await http.get(f"/v1/videos/{job['id']}", headers=nobody)).status_code == 401
    for path, expected in (
        ("/v1/videos/video_0/content/more", 404),
        ("/v1/videos/..%2f..%2fmodels", 404),
        ("/v1/videos?limit=0", 400),
        ("/v1/videos?order=up", 400),
        (f"/v1/videos/{job['id']}/content?variant=thumbnail", 400),
    ):
        answer = await http.get(path)
        assert answer.status_code == expected, path
        assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
    put = await http.put("/v1/videos")
    assert put.status_code == 405 and "POST" in put.headers["allow"]
    assert (await http.head(f"/v1/videos/{job['id']}")).status_code == 200
    sora = await http.post("/v1/videos", json=ask("sora-2"))
    assert (sora.status_code, sora.json()["error"]["code"]) == (404, "model_not_found")
    assert (await http.delete(f"/v1/videos/{job['id']}")).json()["deleted"] is True
