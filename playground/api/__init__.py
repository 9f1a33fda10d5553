"""The engine for programs: OpenAI-shaped routes, named Gradio endpoints and MCP tools; no page."""
