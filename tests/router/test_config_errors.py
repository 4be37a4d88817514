"""Every way a configuration can be wrong is one line: file, line, key, what is wrong, what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.router.examples import YAML, config_error

MISTAKES = {
    "a price that nobody can reckon with": (
        "price: {usd_per_million_tokens: 1}",
        "price: {usd_per_hour: 1.0e+30, tokens_per_second: 0.001}",
        "FILE:31: verifiers.prm.price: $1.0E+30 an hour, at 0.001 tokens a second read and 0.001 generated, "
        "is no price that can be reckoned with",
    ),
    "unknown key, close to a known one": (
        "probe_samples: 16",
        "probe_sample: 16",
        "FILE:39: policies.default.probe_sample: is not a known key; did you mean 'probe_samples'?",
    ),
    "unknown key, close to nothing": (
        "context_tokens: 4096",
        "vocabulary: 4096",
        "FILE:15: models.big.vocabulary: is not a known key; known here are price, latency, temperature, "
        "step_separator, thinking, revise_prompt, honours, api_key_env, context_tokens, max_tokens, "
        "limit_field, thinks, parameters, endpoints, fallbacks, max_retries, cooldown_s, timeouts, engine, "
        "base_url, upstream_model, tokenizer, deployments",
    ),
    "unknown key of a price": (
        "price: {usd_per_million_tokens: 1}",
        "price: {usd_per_million_token: 1}",
        "FILE:31: verifiers.prm.price.usd_per_million_token: is not a known key; "
        "did you mean 'usd_per_million_tokens'?",
    ),
    "unknown section": (
        "verifiers:\n",
        "verifier:\n",
        "FILE:25: verifier: is not a known key; did you mean 'verifiers'?",
    ),
    "key of another engine": (
        "    path: /models/tiny\n",
        "    path: /models/tiny\n    base_url: http://x\n",
        "FILE:5: models.tiny.base_url: is not a known key; known here are price, latency, temperature, "
        "step_separator, thinking, revise_prompt, honours, engine, path, context_tokens, max_tokens, "
        "parameters",
    ),
    "missing key": (
        "    path: /models/tiny\n",
        "",
        "FILE:2: models.tiny.path: is missing",
    ),
    "misspelt key, which is also a missing one": (
        "    path: /models/tiny\n",
        "    pth: /models/tiny\n",
        "FILE:4: models.tiny.pth: is not a known key; did you mean 'path'?",
    ),
    "missing engine": (
        "    engine: openai\n",
        "",
        "FILE:11: models.big.engine: is missing",
    ),
    "unknown engine": (
        "engine: openai",
        "engine: vllm",
        "FILE:12: models.big.engine: must be one of 'transformers', 'openai', 'litellm', not 'vllm'",
    ),
    "unknown kind of verifier": (
        "kind: majority",
        "kind: votes",
        "FILE:33: verifiers.votes.kind: must be one of 'prm', 'orm', 'remote', 'judge', "
        "'check', 'majority', 'ensemble', not 'votes'",
    ),
    "text for a number": (
        "probe_samples: 16",
        "probe_samples: many",
        "FILE:39: policies.default.probe_samples: must be a whole number, not 'many'",
    ),
    "fraction of a sample": (
        "probe_samples: 16",
        "probe_samples: 1.5",
        "FILE:39: policies.default.probe_samples: must be a whole number, not 1.5",
    ),
    "truth for a number": (
        "probe_samples: 16",
        "probe_samples: yes",
        "FILE:39: policies.default.probe_samples: must be a whole number, not true",
    ),
    "negative samples": (
        "probe_samples: 16",
        "probe_samples: -1",
        "FILE:39: policies.default.probe_samples: must be greater than or equal to 0, not -1",
    ),
    "no samples": (
        "search_samples: 16",
        "search_samples: 0",
        "FILE:40: policies.default.search_samples: must be greater than or equal to 1, not 0",
    ),
    "negative price": (
        "usd_per_million_completion_tokens: 10\n",
        "usd_per_million_completion_tokens: -0.5\n",
        "FILE:10: models.tiny.price.usd_per_million_completion_tokens: must be greater than or equal to 0, "
        "not -0.5",
    ),
    "endless price": (
        "usd_per_million_completion_tokens: 10\n",
        "usd_per_million_completion_tokens: .inf\n",
        "FILE:10: models.tiny.price.usd_per_million_completion_tokens: must be a finite number, not Infinity",
    ),
    "price in words": (
        "usd_per_right_answer: 0.05",
        "usd_per_right_answer: a lot",
        "FILE:41: policies.default.usd_per_right_answer: must be a number, not 'a lot'",
    ),
    "truth for a price": (
        "usd_per_right_answer: 0.05",
        "usd_per_right_answer: true",
        "FILE:41: policies.default.usd_per_right_answer: must be a number, not true",
    ),
    "half a price": (
        "      usd_per_million_prompt_tokens: 1\n",
        "",
        "FILE:8: models.tiny.price: must give either usd_per_hour and prompt_tokens_per_second and "
        "completion_tokens_per_second, or usd_per_million_prompt_tokens and "
        "usd_per_million_completion_tokens; found usd_per_million_completion_tokens",
    ),
    "mapping expected": (
        "price: {usd_per_million_tokens: 1}",
        "price: cheap",
        "FILE:31: verifiers.prm.price: must be a mapping of keys to values, not 'cheap'",
    ),
    "URL expected": (
        "http://big.example/v1",
        "big.example",
        "FILE:13: models.big.base_url: must be a URL that starts with http:// or https://, not 'big.example'",
    ),
    "unknown model": (
        "small: tiny",
        "small: tinny",
        "FILE:36: policies.default.small: names 'tinny', which is not in models; did you mean 'tiny'?",
    ),
    "unknown verifier": (
        "    verifier: prm\n",
        "    verifier: judge\n",
        "FILE:37: policies.default.verifier: names 'judge', which is not in verifiers; there are prm, votes",
    ),
    "small model that no worker runs": (
        "small: tiny",
        "small: unpriced",
        "FILE:36: policies.default.small: names 'unpriced' of engine litellm, but a small model is searched "
        "in a worker: it needs engine transformers, or openai",
    ),
    "large model that is the small one": (
        "large: big",
        "large: tiny",
        "FILE:38: policies.default.large: is the small model itself ('tiny'); name another, or leave it out",
    ),
    "beam width that does not divide the budget": (
        "search_samples: 16",
        "search_samples: 15",
        "FILE:40: policies.default.search_samples: search_samples (15) must be a multiple of beam_width (4), "
        "so that every round keeps N/M beams",
    ),
    "beam width beyond the budget": (
        "search_samples: 16",
        "search_samples: 16\n    beam_width: 32",
        "FILE:41: policies.default.beam_width: search_samples (16) must be a multiple of beam_width (32), "
        "so that every round keeps N/M beams",
    ),
    "a small model whose samples are all the same": (
        "    path: /models/tiny\n",
        "    path: /models/tiny\n    temperature: 0\n",
        "FILE:5: models.tiny.temperature: is 0, so all 16 samples of policy 'default' would be equal; "
        "must be above 0",
    ),
    "no default policy": (
        "  default: &default",
        "  standard: &default",
        'FILE:34: policies: needs a policy named "default": it is what the model name "gradus" means',
    ),
    "model called like Gradus": (
        "  unpriced:\n",
        "  gradus/x:\n",
        "FILE:21: models.gradus/x: is a name of Gradus itself (gradus/<policy>); choose another",
    ),
    "key written twice": (
        "    kind: majority\n",
        "    kind: majority\n    kind: majority\n",
        "FILE:34: verifiers.votes.kind: is written twice, first in line 33; keep one",
    ),
    "merge of what is no mapping": (
        "alone: {<<: *default, large: null}",
        "alone: {<<: tiny, large: null}",
        "FILE:42: policies.alone.<<: merges what is not another mapping; give an alias of one (<<: *name)",
    ),
    "fault in what a merge brings in": (
        "alone: {<<: *default, large: null}",
        "alone: {<<: *default, large: nul}",
        "FILE:42: policies.alone.large: names 'nul', which is not in models; there are tiny, big, unpriced",
    ),
    "unknown alias": (
        "voting: {<<: *default,",
        "voting: {<<: *defualt,",
        "FILE:43: is not YAML: found undefined alias 'defualt'",
    ),
    "broken YAML": (
        "verifiers:\n",
        "verifiers: [\n",
        "FILE:27: is not YAML: expected ',' or ']', but got ':'",
    ),
    "policies without anything": (
        YAML[YAML.index("policies:") :],
        "policies:\n",
        "FILE:34: policies: must be a mapping of keys to values, not nothing",
    ),
    "an empty section": (
        YAML[YAML.index("policies:") :],
        "policies: {}\n",
        "FILE:34: policies: is empty; give at least one",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_named_with_its_file_line_and_key(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    assert right in YAML
    assert config_error(tmp_path, YAML.replace(right, wrong, 1)) == message


def test_of_several_mistakes_the_first_in_the_file_is_named(tmp_path: Path) -> None:
    text = YAML.replace("probe_samples: 16", "probe_samples: -1").replace(
        "parameters: 1_000", "parameters: -1_000"
    )
    assert config_error(tmp_path, text).startswith("FILE:6: models.tiny.parameters: ")
