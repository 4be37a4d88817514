"""Stream an answer with the ordinary OpenAI client; usage and decision come with the last chunk.

gradus up &
python examples/stream.py "Calculate ( 7 + 5 ) * 3."
"""

import os
import sys

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("GRADUS_URL", "http://127.0.0.1:8080") + "/v1", api_key="any")
question = sys.argv[1] if len(sys.argv) > 1 else "Calculate ( 7 + 5 ) * 3."

chunks = client.chat.completions.create(
    model="gradus/accurate",
    messages=[{"role": "user", "content": question}],
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in chunks:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
    if chunk.usage:
        gradus = chunk.model_extra["gradus"]
        print(f"\n{chunk.usage.total_tokens} tokens; {gradus['strategy']} on {gradus['model']}")
