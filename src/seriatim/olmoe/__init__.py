"""OLMoE-1B-7B, the open mixture-of-experts model: exactly as published, and fast on a CPU."""
