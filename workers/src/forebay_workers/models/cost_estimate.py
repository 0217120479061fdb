"""What an answer costs where no endpoint says so: a guess on the high side."""

from forebay_workers.models.generation_model import GenerationRequest, TokenUsage
from forebay_workers.models.token_estimate import estimate_tokens


def estimated_cost(request: GenerationRequest, written: str, model: str) -> TokenUsage:
    """Guess what a model read and wrote, up to what was written."""
    read = estimate_tokens(request.question) + sum(
        estimate_tokens(passage.text) for passage in request.passages
    )
    return TokenUsage(model, read, estimate_tokens(written))
