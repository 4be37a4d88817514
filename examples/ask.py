"""Ask Gradus with the ordinary OpenAI client, and read what it says about the answer.

gradus up &
python examples/ask.py "Calculate ( 7 + 5 ) * 3."
"""

import os
import sys

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("GRADUS_URL", "http://127.0.0.1:8080") + "/v1", api_key="any")
question = sys.argv[1] if len(sys.argv) > 1 else "Calculate ( 7 + 5 ) * 3."

answer = client.chat.completions.create(model="gradus", messages=[{"role": "user", "content": question}])

print(answer.choices[0].message.content)
gradus = answer.model_extra["gradus"]
print(
    f"route {gradus['route']}, difficulty {gradus['bin']}, {gradus['samples']} samples, ${gradus['cost_usd']}"
)
