"""Published claims about AI compute, reproduced or refuted."""
