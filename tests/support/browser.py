"""Drives a headless Chromium for a test, over its debugging protocol; nothing but Python's own library is needed.

Reads a command a line, answers each with a line: `ok TEXT` or `fail TEXT`.

    open URL             loads a page and waits until it has loaded
    wait SECONDS EXPR    until a JavaScript expression is true
    eval EXPR            its value
    size WIDTH HEIGHT    of the window
    theme light|dark     what the page is told that the user prefers
    errors               what the console and the network have complained of; ok if there is nothing
    elsewhere HOST       requests to any other host; ok if there were none
    accessible           names, roles, headings, contrast, focus, sizes, width; ok if there is nothing to say
    screenshot FILE      of the whole page
"""

import base64
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

HANG = 60


class WebSocket:
    def __init__(self, url):
        host, path = url[len("ws://"):].split("/", 1)
        name, port = host.split(":")
        self.sock = socket.create_connection((name, int(port)), timeout=HANG)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.buf = b""
        while b"\r\n\r\n" not in self.buf:
            self.buf += self.sock.recv(4096)
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        assert b" 101 " in head.split(b"\r\n")[0], head

    def send(self, text):
        data = text.encode()
        n = len(data)
        head = b"\x81" + (
            bytes([0x80 | n]) if n < 126
            else b"\xfe" + struct.pack(">H", n) if n < 65536
            else b"\xff" + struct.pack(">Q", n)
        )
        mask = os.urandom(4)
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        self.sock.sendall(head + mask + masked)

    def _take(self, n, until):
        while len(self.buf) < n:
            self.sock.settimeout(max(until - time.time(), 0.01))
            more = self.sock.recv(1 << 16)
            if not more:
                raise EOFError("the browser is gone")
            self.buf += more
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def receive(self, until):
        """A message, or None when the time is over before one begins."""
        text = b""
        while True:
            if not text and not self.buf:
                self.sock.settimeout(max(until - time.time(), 0.001))
                try:
                    more = self.sock.recv(1 << 16)
                except (socket.timeout, BlockingIOError):
                    return None
                if not more:
                    raise EOFError("the browser is gone")
                self.buf += more
            late = time.time() + HANG
            first, second = self._take(2, late)
            n = second & 0x7F
            if n == 126:
                n = struct.unpack(">H", self._take(2, late))[0]
            elif n == 127:
                n = struct.unpack(">Q", self._take(8, late))[0]
            data = self._take(n, late)
            if first & 0x0F in (0, 1):
                text += data
                if first & 0x80:
                    return text.decode()


PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def group_lives(leader):
    """Whether a process of the group is left. The leader is waited for meanwhile: as a zombie it would count."""
    leader.poll()
    try:
        os.killpg(leader.pid, 0)
    except ProcessLookupError:
        return False
    return True


class Browser:
    def __init__(self, program):
        # A crash reporter of the browser may have left the group: what it still writes is no reason to fail.
        self.dir = tempfile.TemporaryDirectory(prefix="aedile-browser-", ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [
                program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
                "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--mute-audio",
                "--remote-debugging-port=0", f"--user-data-dir={self.dir.name}", "about:blank",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            # However this script ends.
            preexec_fn=die_with_parent,
            # A group of its own, for its helpers end with it.
            start_new_session=True,
        )
        until = time.time() + HANG
        path = os.path.join(self.dir.name, "DevToolsActivePort")
        while True:
            try:
                with open(path) as f:
                    port = int(f.readline())
                break
            except (OSError, ValueError):
                if time.time() > until or self.process.poll() is not None:
                    raise RuntimeError("the browser did not start")
                time.sleep(0.05)
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=HANG) as f:
                pages = [t for t in json.load(f) if t["type"] == "page"]
            if pages:
                break
            time.sleep(0.05)
        self.ws = WebSocket(pages[0]["webSocketDebuggerUrl"])
        self.next = 0
        self.complaints = []
        self.requests = []
        self.loaded = False
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def close(self):
        """Ends the browser and all that it has started, and only then removes what they write to."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sig)
            except ProcessLookupError:
                break
            until = time.time() + 5
            while group_lives(self.process) and time.time() < until:
                time.sleep(0.02)
        self.process.wait()
        self.dir.cleanup()

    def _event(self, m):
        method, p = m.get("method"), m.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            d = p["exceptionDetails"]
            self.complaints.append(d.get("exception", {}).get("description", d["text"]))
        elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(p["args"]))
        elif method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.complaints.append(p["entry"]["text"] + " " + p["entry"].get("url", ""))
        elif method == "Network.requestWillBeSent":
            self.requests.append(p["request"]["url"])

    def pump(self, seconds):
        until = time.time() + seconds
        while time.time() < until:
            m = self.ws.receive(until)
            if m is not None:
                self._event(json.loads(m))

    def call(self, method, **params):
        self.next += 1
        self.ws.send(json.dumps({"id": self.next, "method": method, "params": params}))
        until = time.time() + HANG
        while time.time() < until:
            m = self.ws.receive(until)
            if m is None:
                break
            m = json.loads(m)
            if m.get("id") == self.next:
                if "error" in m:
                    raise RuntimeError(f"{method}: {m['error']}")
                return m["result"]
            self._event(m)
        raise RuntimeError(f"{method}: no answer")

    def eval(self, expr):
        r = self.call("Runtime.evaluate", expression=expr, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in r:
            raise RuntimeError(r["exceptionDetails"].get("exception", {}).get("description", "exception"))
        return r["result"].get("value")

    def open(self, url):
        self.loaded = False
        self.call("Page.navigate", url=url)
        until = time.time() + HANG
        while not self.loaded:
            if time.time() > until:
                raise RuntimeError("the page has not loaded")
            self.pump(0.05)

    def wait(self, seconds, expr):
        until = time.time() + seconds
        while True:
            value = self.eval(expr)
            if value:
                return value
            if time.time() > until:
                raise RuntimeError(f"never true: {expr}")
            self.pump(0.1)

    def accessible(self):
        found = list(self.eval(IN_PAGE))
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        named = {"button", "link", "radio", "image", "img", "progressbar", "region", "radiogroup", "heading", "checkbox", "textbox", "table_"}
        roles = {}
        for n in nodes:
            if n.get("ignored"):
                continue
            role = n.get("role", {}).get("value", "")
            roles[role] = roles.get(role, 0) + 1
            if role in named and not n.get("name", {}).get("value", "").strip():
                found.append(f"a {role} without a name (node {n.get('backendDOMNodeId')})")
        for role in ("main", "banner", "contentinfo"):
            if roles.get(role) != 1:
                found.append(f"{roles.get(role, 0)} landmarks of role {role}")
        # Every control is reached by Tab, in order, and shows that it has the focus.
        want = self.eval(FOCUSABLE)
        # From the front of the page, wherever the focus was.
        self.eval("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
        seen = []
        for _ in range(want + 2):
            for kind in ("rawKeyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            r = self.eval(FOCUSED)
            if r is None or r["n"] in [s["n"] for s in seen]:
                break
            seen.append(r)
            if not r["outline"]:
                found.append(f"no focus is shown on {r['what']}")
        if len(seen) < want:
            found.append(f"Tab reaches {len(seen)} of {want} controls: {[s['what'] for s in seen]}")
        self.eval("document.activeElement.blur()")
        return found


FOCUSABLE = """(() => { let n = 0; window.__f = new Map();
  for (const e of document.querySelectorAll('a[href],button,[tabindex]')) {
    if (e.tabIndex < 0 || e.closest('[hidden]') || !e.getClientRects().length) continue;
    window.__f.set(e, n++);
  } return n; })()"""

FOCUSED = """(() => { const e = document.activeElement; if (!e || e === document.body) return null;
  const s = getComputedStyle(e);
  return { n: window.__f.has(e) ? window.__f.get(e) : -1, what: e.tagName + '#' + e.id + ' ' + (e.textContent || '').slice(0, 20),
    outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 }; })()"""

# Contrast by WCAG 2: 4.5 to 1, of large text 3 to 1; lines of charts 3 to 1.
IN_PAGE = r"""(() => {
  const found = [];
  if (!document.documentElement.lang) found.push('no language');
  if (!document.title) found.push('no title');
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push('two of id ' + id);
  for (const e of document.querySelectorAll('[aria-labelledby],[aria-describedby]'))
    for (const a of ['aria-labelledby', 'aria-describedby'])
      for (const id of (e.getAttribute(a) || '').split(/\s+/).filter(Boolean)) if (!document.getElementById(id)) found.push(a + ' leads nowhere: ' + id);
  let level = 0;
  for (const h of document.querySelectorAll('h1,h2,h3,h4')) {
    const n = Number(h.tagName[1]);
    if (n > level + 1) found.push('a heading is left out before: ' + h.textContent);
    level = n;
  }
  if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
  for (const t of document.querySelectorAll('table')) if (!t.querySelector('th[scope]')) found.push('a table without headers');
  const parse = (c) => {
    const m = c.match(/rgba?\(([\d.]+),? ([\d.]+),? ([\d.]+)(?:,? ?\/? ?([\d.]+))?\)/);
    return m ? [+m[1], +m[2], +m[3], m[4] === undefined ? 1 : +m[4]] : [0, 0, 0, 0];
  };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const background = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((below, c) => over(c, below), [255, 255, 255, 1]);
  };
  const light = (c) => {
    const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]);
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  for (let n; (n = walker.nextNode());) {
    const e = n.parentElement;
    if (!n.textContent.trim() || /^(SCRIPT|STYLE|NOSCRIPT|TITLE)$/i.test(e.tagName) || !e.getClientRects().length) continue;
    const s = getComputedStyle(e);
    if (s.visibility === 'hidden' || e.closest('.hidden,.skip,[hidden]')) continue;
    texts++;
    const back = background(e);
    const color = over(parse(e instanceof SVGElement ? s.fill : s.color), back);
    const size = parseFloat(s.fontSize), large = size >= 24 || (size >= 18.66 && Number(s.fontWeight) >= 700);
    const r = ratio(color, back);
    if (r < (large ? 3 : 4.5)) found.push('contrast ' + r.toFixed(2) + ': ' + n.textContent.trim().slice(0, 40) + ' in ' + e.tagName + '.' + (e.getAttribute('class') || ''));
  }
  if (texts < 40) found.push('only ' + texts + ' texts are visible');
  for (const p of document.querySelectorAll('.chart .line')) {
    const s = getComputedStyle(p);
    const r = ratio(parse(s.stroke), background(p.closest('.card')));
    if (r < 3) found.push('contrast of a line ' + r.toFixed(2) + ': ' + p.getAttribute('class'));
  }
  for (const b of document.querySelectorAll('button')) {
    const r = b.getBoundingClientRect();
    if (r.height < 24 || r.width < 24) found.push('a small target: ' + b.textContent);
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push('wider than the window: ' + document.documentElement.scrollWidth + ' > ' + innerWidth);
  return found;
})()"""


def main():
    browser = Browser(sys.argv[1])
    try:
        for line in sys.stdin:
            word, _, rest = line.rstrip("\n").partition(" ")
            try:
                text = ""
                if word == "open":
                    browser.open(rest)
                elif word == "wait":
                    seconds, _, expr = rest.partition(" ")
                    text = str(browser.wait(float(seconds), expr))
                elif word == "eval":
                    text = json.dumps(browser.eval(rest))
                elif word == "size":
                    w, h = rest.split()
                    browser.call("Emulation.setDeviceMetricsOverride", width=int(w), height=int(h), deviceScaleFactor=1, mobile=int(w) < 600)
                    browser.pump(0.3)
                elif word == "theme":
                    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": rest}])
                    browser.pump(0.3)
                elif word == "errors":
                    browser.pump(0.2)
                    assert not browser.complaints, " | ".join(browser.complaints)
                elif word == "elsewhere":
                    strange = [u for u in browser.requests if not u.startswith((rest, "data:", "about:"))]
                    assert browser.requests and not strange, str(strange)
                elif word == "accessible":
                    found = browser.accessible()
                    assert not found, " | ".join(found)
                elif word == "screenshot":
                    browser.eval("window.scrollTo(0, 0)")
                    browser.pump(0.3)
                    shot = browser.call("Page.captureScreenshot", captureBeyondViewport=True)
                    with open(rest, "wb") as f:
                        f.write(base64.b64decode(shot["data"]))
                else:
                    raise RuntimeError(f"no such command: {word}")
                answer = f"ok {text}"
            except (AssertionError, RuntimeError) as e:
                answer = f"fail {e}"
            print(answer.replace("\n", " "), flush=True)
    finally:
        browser.close()


if __name__ == "__main__":
    main()
