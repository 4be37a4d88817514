"""What /docs and /openapi.json show of the answers of other servers."""

from __future__ import annotations

from typing import Any

COMPLETED: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1767225600,
    "model": "theirs",
    "choices": [{"index": 0, "text": " there was", "finish_reason": "length", "logprobs": None}],
    "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
}

COMPLETED_STREAM = """data: {"id":"cmpl-1","object":"text_completion","created":1767225600,"model":"theirs",\
"choices":[{"index":0,"text":" there was","finish_reason":null,"logprobs":null}]}

data: {"id":"cmpl-1", ..., "choices":[{"index":0,"text":"","finish_reason":"length","logprobs":null}]}

data: [DONE]
"""

EMBEDDED: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.12, -0.05]}],
    "model": "theirs",
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}

RESPONSE: dict[str, Any] = {
    "id": "resp-1",
    "object": "response",
    "created_at": 1767225600,
    "status": "completed",
    "model": "theirs",
    "output": [
        {
            "id": "msg-1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "7", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10},
}

RESPONSE_STREAM = """event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp-1", ...}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":1,"item_id":"msg-1","delta":"7", ...}

event: response.completed
data: {"type":"response.completed","sequence_number":2,"response":{"id":"resp-1", ...}}
"""
