"""Seriatim for other programs and for people in a browser: HTTP API, OpenAI-compatible API, MCP, the page."""
