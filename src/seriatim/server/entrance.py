"""What a browser without the token is shown: a form that asks for it. It needs no script, and nothing else from here,
for nothing is handed out without the token."""

import base64
import hashlib
from html import escape

from starlette.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { display: grid; place-content: center; min-height: 100vh; margin: 0; padding: 0 24px;
  background: light-dark(#fbfaf7, #181715); color: light-dark(#211f1b, #ebe7df); }
main { max-width: 24rem; }
h1 { font: italic 500 32px/1.2 P052, Palatino, Georgia, serif; margin: 0 0 12px; }
p { margin: 0 0 20px; color: light-dark(#655f55, #a8a196); overflow-wrap: anywhere; }
p[role=alert] { color: light-dark(#a3261a, #ff9d8f); }
label { display: block; font-size: 13px; font-weight: 600; margin-bottom: 4px; }
form div { display: flex; gap: 10px; }
input, button { font: inherit; padding: 8px 12px; border-radius: 9px; border: 1px solid light-dark(#655f55, #a8a196); }
input { flex: 1; min-width: 0; background: light-dark(#fff, #211f1c); color: inherit; }
button { background: light-dark(#211f1b, #ebe7df); color: light-dark(#fbfaf7, #181715); font-weight: 550; }
:focus-visible { outline: 2px solid light-dark(#8a5200, #f0b347); outline-offset: 2px; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Seriatim: token needed</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Seriatim</h1>
{{said}}
<p>Whoever started this server has its token; it was given with SERIATIM_TOKEN or --token.</p>
<form action="/" method="get">
<label for="token">Token</label>
<div><input id="token" name="token" type="password" required autocomplete="current-password" autofocus>
<button>Open</button></div>
</form>
</main>
</body>
</html>
"""


def entrance_form(status: int, message: str) -> HTMLResponse:
    """The form, under what is said of the token that was given."""
    return HTMLResponse(
        _PAGE.replace("{said}", f'<p role="alert">{escape(message[:1].upper() + message[1:])}.</p>'),
        status,
        headers={"content-security-policy": _POLICY},
    )
