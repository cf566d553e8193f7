"""Answers of the gateway against OpenAI's own description of its API, recorded.

    python tests/oracles/gateway_openapi.py openapi.yaml

The description is https://github.com/openai/openai-openapi (3 MB, read where it lies). A gateway
with a stand-in engine is asked for one of everything; each body and each event is validated by the
schema of its operation. A property that need not be there may be null, as OpenAI itself answers,
and what is called nullable may be. Needs jsonschema, pyyaml and the extra `gateway`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import jsonschema
import yaml

HERE = Path(__file__).parent
RECORD = HERE / "record" / "gateway_openapi.json"
TRAINER = HERE.parent / "data" / "tuning" / "trainer.py"
EKE = Path(sys.executable).parent / "eke"
PORT = 8391
MODEL = "llama-3.1-8b"


class Description:
    """OpenAI's description. found: by operation, how many bodies fit, and what did not."""

    def __init__(self, file: Path) -> None:
        self.spec = or_null(yaml.load(file.read_text(), Loader=yaml.CSafeLoader))
        self.found: dict[str, Any] = {}

    def schema(self, name: str) -> Any:
        """A named schema, with all it refers to."""
        return {"$ref": f"#/components/schemas/{name}", "components": self.spec["components"]}

    def check(self, what: str, name: str, body: Any) -> Any:
        """Hold a body against a schema; the body."""
        validator = jsonschema.Draft202012Validator(self.schema(name))
        entry = self.found.setdefault(what, {"schema": name, "bodies": 0, "faults": []})
        entry["bodies"] += 1
        for error in list(validator.iter_errors(body))[:5]:
            deep = jsonschema.exceptions.best_match([error])
            while deep.context:  # the nearest of several that might have fitted
                deep = jsonschema.exceptions.best_match(deep.context)
            where = "/".join(map(str, deep.absolute_path))
            fault = f"{where}: {deep.message:.160}"
            if fault not in entry["faults"]:
                entry["faults"].append(fault)
        return body


def or_null(schema: Any) -> Any:
    """A schema whose properties may be null where they need not be there or are called so."""
    if isinstance(schema, list):
        return [or_null(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: or_null(each) for name, each in schema.items()}
    properties = found.get("properties")
    if isinstance(properties, dict) and found.get("type", "object") == "object":
        must = found.get("required", ())
        found["properties"] = {
            name: each if name in must else {"anyOf": [each, {"type": "null"}]}
            for name, each in properties.items()
        }
    if schema.get("nullable") is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found


def main() -> None:
    described = Description(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder, gateway(Path(folder)):
        chats(described)
        responses(described)
        conversations(described)
        batches(described)
        jobs(described)
        errors(described)
    version = described.spec["info"]["version"]
    record = {"openapi": version, "operations": described.found}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    for what, entry in described.found.items():
        print(f"{what:40}{entry['bodies']:>4}  {'; '.join(entry['faults']) or 'fits'}")


def chats(described: Description) -> None:
    """Chat completions, completions, embeddings and models."""
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
    described.check(
        "chat completion", "CreateChatCompletionResponse", post("/chat/completions", chat)
    )
    streamed = {**chat, "stream": True, "stream_options": {"include_usage": True}}
    for event in events("/chat/completions", {**streamed, "service_tier": "flex"}):
        described.check("chat completion chunk", "CreateChatCompletionStreamResponse", event)
    whole = {"model": MODEL, "prompt": "hello", "max_tokens": 8}
    described.check("completion", "CreateCompletionResponse", post("/completions", whole))
    asked = {"model": MODEL, "input": "hello"}
    described.check("embedding", "CreateEmbeddingResponse", post("/embeddings", asked))
    described.check("models", "ListModelsResponse", get("/models"))
    described.check("model", "Model", get(f"/models/{MODEL}"))


def responses(described: Description) -> None:
    """Responses: plain, in a chain, streamed, with tools, in the background, counted."""
    asked: dict[str, Any] = {"model": MODEL, "input": "hello", "max_output_tokens": 8}
    first = described.check("response", "Response", post("/responses", asked))
    chained = {**asked, "previous_response_id": first["id"]}
    described.check("response in a chain", "Response", post("/responses", chained))
    for event in events("/responses", {**asked, "stream": True}):
        described.check("response event", "ResponseStreamEvent", event)
    tool = {"type": "function", "name": "look", "strict": False, "parameters": PARAMETERS}
    tools = {**asked, "tools": [tool], "tool_choice": "required"}
    described.check("response with a tool", "Response", post("/responses", tools))
    for event in events("/responses", {**tools, "stream": True}):
        described.check("response event with a tool", "ResponseStreamEvent", event)
    behind = post("/responses", {**asked, "background": True})
    described.check("background response", "Response", behind)
    done = until(f"/responses/{behind['id']}", ("queued", "in_progress"))
    described.check("background response, done", "Response", done)
    items = get(f"/responses/{first['id']}/input_items")
    described.check("input items", "ResponseItemList", items)


def conversations(described: Description) -> None:
    """Conversations and their items."""
    made = post("/conversations", {"metadata": {"a": "b"}})
    described.check("conversation", "ConversationResource", made)
    post("/responses", {"model": MODEL, "input": "hello", "conversation": made["id"]})
    items = get(f"/conversations/{made['id']}/items")
    described.check("conversation items", "ConversationItemList", items)
    gone = send("DELETE", f"/conversations/{made['id']}")
    described.check("conversation deleted", "DeletedConversationResource", gone)


def batches(described: Description) -> None:
    """Files and batches."""
    body = {"model": MODEL, "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = upload("lines.jsonl", json.dumps(line).encode(), "batch")
    described.check("file", "OpenAIFile", file)
    asked = {"input_file_id": file["id"], "endpoint": line["url"], "completion_window": "24h"}
    batch = described.check("batch", "Batch", post("/batches", asked))
    waiting = ("validating", "in_progress", "finalizing")
    described.check("batch, done", "Batch", until(f"/batches/{batch['id']}", waiting))
    described.check("batches", "ListBatchesResponse", get("/batches"))
    described.check("files", "ListFilesResponse", get("/files"))
    described.check("file deleted", "DeleteFileResponse", send("DELETE", f"/files/{file['id']}"))


def jobs(described: Description) -> None:
    """Fine-tuning jobs."""
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    lines = b"\n".join(json.dumps({"messages": talk}).encode() for _ in range(12))
    file = upload("talks.jsonl", lines, "fine-tune")
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}
    asked = {"model": MODEL, "training_file": file["id"], "method": method}
    job = described.check("fine-tuning job", "FineTuningJob", post("/fine_tuning/jobs", asked))
    path = f"/fine_tuning/jobs/{job['id']}"
    described.check("job, cancelled", "FineTuningJob", send("POST", f"{path}/cancel", {}))
    described.check("jobs", "ListPaginatedFineTuningJobsResponse", get("/fine_tuning/jobs"))
    described.check("job events", "ListFineTuningJobEventsResponse", get(f"{path}/events"))
    checkpoints = get(f"{path}/checkpoints")
    described.check("job checkpoints", "ListFineTuningJobCheckpointsResponse", checkpoints)


def errors(described: Description) -> None:
    """What a mistake is told with."""
    for path, body in (("/chat/completions", {}), ("/responses", {}), ("/batches", {})):
        described.check("error", "ErrorResponse", send("POST", path, body))


PARAMETERS = {"type": "object", "properties": {"where": {"type": "string"}}, "required": ["where"]}


def get(path: str) -> Any:
    return send("GET", path)


def post(path: str, body: Any) -> Any:
    return send("POST", path, body)


def send(method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
    """What comes back as JSON, errors too."""
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer someone", "Content-Type": kind}
    request = Request(f"http://127.0.0.1:{PORT}/v1{path}", data, headers, method=method)
    try:
        with urlopen(request) as answer:
            return json.load(answer)
    except HTTPError as error:
        return json.load(error)


def events(path: str, body: Any) -> list[Any]:
    """The events of a stream."""
    headers = {"Authorization": "Bearer someone", "Content-Type": "application/json"}
    data = json.dumps(body).encode()
    with urlopen(Request(f"http://127.0.0.1:{PORT}/v1{path}", data, headers)) as answer:
        texts = [line[6:].strip() for line in answer if line.startswith(b"data: ")]
    return [json.loads(text) for text in texts if text != b"[DONE]"]


def upload(name: str, content: bytes, purpose: str) -> Any:
    """A file by a form."""
    edge = "edge-of-a-part"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
    head += f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    return send("POST", "/files", body, f"multipart/form-data; boundary={edge}")


def until(path: str, waiting: tuple[str, ...]) -> Any:
    """What is there once it waits no longer."""
    for _ in range(300):
        found = get(path)
        if found["status"] not in waiting:
            return found
        time.sleep(0.1)
    raise TimeoutError(path)


@contextmanager
def gateway(folder: Path) -> Iterator[None]:
    """A stand-in engine, and the gateway before it."""
    file = folder / "gateway.toml"
    file.write_text(
        f'port = {PORT}\nstate = "{folder}/eke.db"\njobs = "{folder}/jobs"\n'
        f'trainer = "{sys.executable} {TRAINER}"\n'
        f'[engines.one]\nurl = "http://127.0.0.1:{PORT + 1}/v1"\n'
    )
    stand_in = [EKE, "serve", "--stand-in", MODEL, "--on", "1xh100-sxm", "--port", str(PORT + 1)]
    engine = subprocess.Popen([*stand_in, "--pace", "20", "--parent", str(os.getpid())])
    served = subprocess.Popen([EKE, "serve", str(file)])
    try:
        for _ in range(300):
            try:
                if get("/models")["data"]:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        yield
    finally:
        served.terminate()
        engine.terminate()
        served.wait()
        engine.wait()


if __name__ == "__main__":
    main()
