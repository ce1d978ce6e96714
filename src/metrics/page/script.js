"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const make = (tag, className, text) => {
    const e = document.createElement(tag);
    if (className) e.className = className;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const svg = (tag, attributes) => {
    const e = document.createElementNS(SVG, tag);
    for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
    return e;
  };
  // What has not changed is not touched: focus, selection and screen readers are left in peace.
  const setText = (e, text) => { if (e.textContent !== text) e.textContent = text; };
  const setClass = (e, name) => { if (e.getAttribute("class") !== name) e.setAttribute("class", name); };
  const show = (e, yes) => { if (e.hidden === yes) e.hidden = !yes; };

  // Numbers for people ----------------------------------------------------------------------------------------------
  const count = (n) => {
    if (n === null || n === undefined || Number.isNaN(n)) return "–";
    for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e4]]) {
      if (n >= size) return (n / (unit === "k" ? 1e3 : size)).toPrecision(3) + " " + unit;
    }
    return String(Math.round(n * 100) / 100);
  };
  const bytes = (n) => {
    if (n === null || n === undefined || n < 0) return "–";
    const units = ["B", "KB", "MB", "GB", "TB", "PB"];
    let i = 0;
    while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
    return (i === 0 ? n : n.toPrecision(3)) + " " + units[i];
  };
  const time = (ms) => {
    if (ms === null || ms === undefined || ms < 0) return "–";
    if (ms === 0) return "0 s";
    if (ms < 1) return Math.round(ms * 1000) + " µs";
    if (ms < 1000) return (ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)) + " ms";
    const s = ms / 1000;
    if (s < 60) return (s < 10 ? s.toFixed(1) : Math.round(s)) + " s";
    if (s < 3600) return Math.floor(s / 60) + " min " + Math.round(s % 60) + " s";
    if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
    return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
  };
  // As short as an axis has room for.
  const axisTime = (ms) => ms < 60000 ? time(ms) : ms < 3600000 ? Math.round(ms / 6000) / 10 + " min" : Math.round(ms / 360000) / 10 + " h";
  const clock = (ms) => new Date(ms).toLocaleTimeString();

  // Why full syncs begin, as INFO names it, in words.
  const REASONS = {
    first_sync: "It had no data yet",
    no_psync: "It asked with SYNC, as old replicas do",
    replid_unknown: "It knew a history that is not this server's",
    beyond_second_id: "It had gone beyond the history shared before the promotion",
    backlog_too_short: "What it missed was no longer in the backlog: raise repl-backlog-size",
    offset_ahead: "It had more than this server, which was restarted with older data",
    output_buffer_limit: "Its output passed client-output-buffer-limit: raise it, or set repl-overflow-policy spill",
    timeout: "It was silent for repl-timeout",
    sync_interrupted: "Its last full sync lost the link",
    snapshot_failed: "The snapshot for its last full sync could not be made",
    unacknowledged: "It took a whole full sync and left without acknowledging it",
    none: "No full sync: it went on where it had stopped",
  };

  // Theme -----------------------------------------------------------------------------------------------------------
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* private windows have none */ }
  const applyTheme = () => {
    const now = theme || (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = now;
    $("theme").setAttribute("aria-pressed", String(now === "dark"));
  };
  applyTheme();
  dark.addEventListener("change", applyTheme);
  $("theme").addEventListener("click", () => {
    theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", theme); } catch { /* it holds for this visit */ }
    applyTheme();
  });

  // Lists by key: what is there is changed in place -------------------------------------------------------------------
  const sync = (parent, items, key, create, update) => {
    const old = new Map();
    for (const e of [...parent.children]) old.set(e.dataset.key, e);
    let at = parent.firstElementChild;
    for (const item of items) {
      const k = key(item);
      let e = old.get(k);
      if (e) old.delete(k); else { e = create(item); e.dataset.key = k; }
      update(e, item);
      if (e === at) at = at.nextElementSibling; else parent.insertBefore(e, at);
    }
    for (const e of old.values()) e.remove();
  };
  const rows = (id, items, key, cells, classes) => {
    const body = $(id).tBodies[0];
    sync(body, items, key, () => {
      const tr = document.createElement("tr");
      for (const c of classes) tr.append(make("td", c));
      return tr;
    }, (tr, item) => cells(item).forEach((text, i) => setText(tr.cells[i], text)));
    const none = $("no-" + id);
    if (none) { show(none, items.length === 0); show($(id).parentElement, items.length > 0); }
  };
  const pairs = (id, items) => sync($(id), items.filter((i) => i[1] !== null), (i) => i[0], (i) => {
    const d = make("div");
    d.append(make("dt", "", i[0]), make("dd"), make("dd", "note"));
    return d;
  }, (d, i) => { setText(d.children[1], i[1]); setText(d.children[2], i[2] || ""); });
  const facts = (id, items) => {
    const parts = items.flatMap(([name, text]) => [["dt", name, name], ["dd", name, text]]);
    sync($(id), parts, (p) => p[0] + p[1], (p) => make(p[0]), (e, p) => setText(e, p[2]));
  };

  // The topology ----------------------------------------------------------------------------------------------------
  const REPLICA_STEPS = ["WaitBgsaveStart", "WaitBgsaveEnd", "SendBulk", "Online"];
  const MASTER_STEPS = ["Connect", "Connecting", "Handshake", "Transfer", "Connected"];
  const node = () => {
    const li = make("li");
    const box = make("div", "node");
    box.append(make("p", "name"), make("span", "chip"), make("ol", "steps"), make("p", "lag"), make("p", "more"), make("progress"));
    box.lastChild.max = 100;
    li.append(make("div", "wire"), box);
    return li;
  };
  const fill = (li, kind, name, state, steps, lag, more, percent) => {
    const box = li.querySelector(".node");
    const [title, chip, list, big, rest, bar] = box.children;
    setClass(li.querySelector(".wire"), "wire " + kind);
    setClass(box, "node " + kind);
    setText(title, name);
    setClass(chip, "chip " + kind);
    setText(chip, state);
    list.setAttribute("aria-hidden", "true");
    const now = steps.indexOf(state === "RdbTransmitted" ? "SendBulk" : state);
    sync(list, steps, (s) => s, (s) => { const e = make("li"); e.title = s; return e; },
      (e, s) => setClass(e, steps.indexOf(s) < now ? "past" : steps.indexOf(s) === now ? "now" : ""));
    setText(big, lag);
    setText(rest, more);
    show(bar, percent !== null);
    if (percent !== null) { bar.value = percent; bar.setAttribute("aria-label", "Snapshot for " + name); }
  };
  const replicaKind = (r) => r.state !== "Online" ? "busy" : r.lag_ms > 5000 || r.silent_s > 10 ? "bad" : "good";
  const topology = (s) => {
    const m = s.master;
    show($("master"), m !== null);
    // The furthest one first; what is known of those above our own master is what it has told.
    sync($("master"), m ? [...m.above].reverse().concat(m) : [], (a) => a === m ? "master" : a.address, () => {
      const li = node();
      li.append(li.firstChild);
      return li;
    }, (li, a) => {
      if (a !== m) {
        const told = m.above_ms < 15000 ? "" : "As told " + time(m.above_ms) + " ago";
        const kind = told ? "idle" : a.up ? "good" : "bad";
        return fill(li, kind, "Master " + a.address, a.up ? "Connected" : "Not connected", [], "", told || "Told by the master below", null);
      }
      const kind = m.up ? (m.silent_s > 15 ? "bad" : "good") : m.problem ? "bad" : "busy";
      const percent = m.sync && m.sync.total ? m.sync.read / m.sync.total * 100 : null;
      const lag = m.up ? "heard " + (m.silent_s < 1 ? "just now" : time(m.silent_s * 1000) + " ago")
        : m.sync ? bytes(m.sync.read) + (m.sync.total ? " of " + bytes(m.sync.total) : "")
        : m.down_s === null ? "never up" : "down for " + time(m.down_s * 1000);
      const more = m.up ? "Stream at " + s.server.offset : m.next_ms > 0 ? "Next attempt in " + time(m.next_ms) : "Trying";
      fill(li, kind, "Master " + m.address, m.state, MASTER_STEPS, lag, more, percent);
    });
    const self = $("self");
    if (!self.firstChild) self.append(make("p", "name"), make("span", "chip"), make("p", "more"), make("p", "more"));
    const [name, chip, one, two] = self.children;
    setText(name, "This server, port " + s.server.port);
    setClass(chip, "chip " + (s.server.loading ? "busy" : m && !m.up ? "bad" : "good"));
    setText(chip, s.server.loading ? "Loading" : s.server.role === "master" ? "Master" : m.up ? "Replica, in sync" : "Replica, out of sync");
    setText(one, "History " + s.server.replid.slice(0, 12) + "… at " + s.server.offset);
    setText(two, s.server.failover === "no-failover" ? "Aedile " + s.server.version + ", as Redis " + s.server.redis_version : "Failover: " + s.server.failover);
    sync($("replicas"), s.replicas, (r) => r.address, node, (li, r) => {
      const kind = replicaKind(r);
      const percent = r.state === "SendBulk" && r.size > 0 ? r.sent / r.size * 100 : null;
      const lag = r.lag_ms === null ? "not in sync yet" : r.lag_bytes === 0 ? "up to date" : time(r.lag_ms) + " behind";
      const more = [];
      if (r.lag_bytes) more.push(bytes(r.lag_bytes) + ", " + count(r.lag_writes) + (r.lag_writes === 1 ? " write" : " writes"));
      if (r.silent_s > 2) more.push("silent for " + time(r.silent_s * 1000));
      if (r.spilled) more.push(bytes(r.spilled) + " in a file");
      if (r.wait_ms) more.push("slowed: next full sync in " + time(r.wait_ms));
      if (r.unacknowledged) more.push(r.unacknowledged + " full syncs never acknowledged");
      if (percent !== null) more.push(bytes(r.sent) + " of " + bytes(r.size));
      if (r.state !== "Online" && REASONS[r.reason]) more.push(REASONS[r.reason]);
      fill(li, kind, r.address, r.state, REPLICA_STEPS, lag, more.join(" · ") || "Offset " + r.offset, percent);
    });
    show($("replicas"), s.replicas.length > 0);
    show($("alone"), s.replicas_all === 0);
  };

  // Charts ----------------------------------------------------------------------------------------------------------
  const SLOTS = 720;
  const data = { step: 5, slot: 0, ops: [], memory: [], clients: [], master_ms: [], lag: {} };
  let visible = SLOTS, chosen = false;
  const nice = (v) => {
    if (v <= 0) return 1;
    const p = 10 ** Math.floor(Math.log10(v));
    return [1, 2, 2.5, 5, 10].find((f) => f * p >= v) * p;
  };
  const charts = [];
  const chart = (id, title, series, format, least, axis) => {
    const box = $(id);
    const picture = svg("svg", { role: "img", tabindex: "0", preserveAspectRatio: "none" });
    const legend = make("ul", "legend");
    legend.setAttribute("aria-label", title + ", now");
    const tip = make("div", "tip");
    tip.hidden = true;
    box.append(picture, tip, legend);
    const c = { id, box, picture, legend, tip, title, series, format, least, axis: axis || format, at: null };
    const point = (slot) => { c.at = slot; draw(c); };
    picture.addEventListener("pointermove", (e) => {
      const r = picture.getBoundingClientRect();
      const x = (e.clientX - r.left - 52) / Math.max(r.width - 60, 1);
      point(Math.round((1 - Math.min(Math.max(x, 0), 1)) * (visible - 1)));
    });
    picture.addEventListener("pointerleave", () => point(null));
    picture.addEventListener("blur", () => point(null));
    picture.addEventListener("keydown", (e) => {
      const by = { ArrowLeft: 1, ArrowRight: -1, PageUp: 12, PageDown: -12, Home: visible, End: -visible }[e.key];
      if (by === undefined) return;
      e.preventDefault();
      point(Math.min(Math.max((c.at === null ? (by > 0 ? -1 : 1) : c.at) + by, 0), visible - 1));
      $("announce").textContent = tip.textContent;
    });
    charts.push(c);
  };
  const draw = (c) => {
    const width = c.picture.clientWidth || 300, height = c.picture.clientHeight || 150;
    const left = 52, right = 8, top = 8, bottom = 20;
    const w = width - left - right, h = height - top - bottom;
    const all = c.series().map(([name, values]) => [name, values.slice(-visible)]);
    const max = nice(Math.max(c.least, ...all.map(([, v]) => v.reduce((a, b) => Math.max(a, b), 0))));
    const x = (i, n) => left + w * (1 - (n - 1 - i) / Math.max(visible - 1, 1));
    const y = (v) => top + h * (1 - v / max);
    const parts = [];
    for (let i = 0; i <= 4; i += c.box.classList.contains("small") ? 2 : 1) {
      const v = max * i / 4;
      parts.push(svg("line", { class: "grid", x1: left, x2: left + w, y1: y(v), y2: y(v) }));
      const t = svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" });
      t.textContent = c.axis(v);
      parts.push(t);
    }
    const span = visible * data.step / 60;
    for (let i = 0; i <= 2; i++) {
      const t = svg("text", { x: left + w * i / 2, y: height - 4, "text-anchor": ["start", "middle", "end"][i] });
      t.textContent = i === 2 ? "now" : "−" + span * (2 - i) / 2 + " min";
      parts.push(t);
    }
    all.forEach(([, values], k) => {
      let line = "", area = "", begin = null, last = null;
      values.forEach((v, i) => {
        if (v < 0) {
          if (begin !== null) area += "L" + last + "," + (top + h) + "L" + begin + "," + (top + h) + "Z";
          begin = null;
          return;
        }
        const px = x(i, values.length).toFixed(1), py = y(v).toFixed(1);
        line += (begin === null ? "M" : "L") + px + "," + py;
        area += (begin === null ? "M" : "L") + px + "," + py;
        if (begin === null) begin = px;
        last = px;
      });
      if (begin !== null) area += "L" + last + "," + (top + h) + "L" + begin + "," + (top + h) + "Z";
      if (all.length === 1) parts.push(svg("path", { class: "area k" + k % 8, d: area }));
      parts.push(svg("path", { class: "line k" + k % 8, d: line }));
    });
    if (c.at !== null) {
      const px = left + w * (1 - c.at / Math.max(visible - 1, 1));
      parts.push(svg("line", { class: "cursor", x1: px, x2: px, y1: top, y2: top + h }));
      const texts = [];
      all.forEach(([name, values], k) => {
        const v = values[values.length - 1 - c.at];
        if (v === undefined || v < 0) return;
        parts.push(svg("circle", { class: "dot k" + k % 8, cx: px, cy: y(v), r: 4 }));
        texts.push((all.length > 1 ? name + " " : "") + c.format(v));
      });
      setText(c.tip, clock((data.slot - c.at) * data.step * 1000) + "  " + (texts.join(", ") || "nothing known"));
      show(c.tip, true);
      c.tip.style.left = Math.min(Math.max(px - 60, 0), Math.max(width - c.tip.offsetWidth - 4, 0)) + "px";
    } else {
      show(c.tip, false);
    }
    c.picture.setAttribute("viewBox", "0 0 " + width + " " + height);
    c.picture.replaceChildren(...parts);
    const now = all.map(([name, v]) => [name, v.length ? v[v.length - 1] : -1]);
    c.picture.setAttribute("aria-label", c.title + " over the last " + span + " minutes. Now: " +
      (now.map(([name, v]) => name + " " + c.format(v)).join(", ") || "nothing") + ". Arrow keys read earlier values.");
    sync(c.legend, now, (n) => n[0], (n) => {
      const li = make("li");
      const key = svg("svg", { viewBox: "0 0 22 8", "aria-hidden": "true", focusable: "false" });
      key.append(svg("line", { x1: 0, x2: 22, y1: 4, y2: 4 }));
      li.append(key, make("span", "", n[0]), make("b"));
      return li;
    }, (li, n) => {
      setClass(li.firstChild.firstChild, "line k" + now.indexOf(n) % 8);
      setText(li.lastChild, c.format(n[1]));
    });
  };
  const drawAll = () => charts.forEach(draw);
  chart("chart-lag", "Lag", () => {
    const all = Object.entries(data.lag);
    if (data.master_ms.some((v) => v >= 0)) all.unshift(["since the master was heard", data.master_ms]);
    return all;
  }, time, 1000, axisTime);
  chart("chart-ops", "Commands a second", () => [["commands/s", data.ops]], count, 10);
  chart("chart-memory", "Memory in use", () => [["in use", data.memory]], bytes, 1024);
  chart("chart-clients", "Clients", () => [["connected", data.clients]], count, 4);
  if ("ResizeObserver" in window) {
    const watch = new ResizeObserver(() => requestAnimationFrame(drawAll));
    watch.observe($("chart-lag"));
  }
  const ranges = [...document.querySelectorAll("[data-slots]")];
  const choose = (b) => {
    ranges.forEach((r) => { r.setAttribute("aria-checked", String(r === b)); r.tabIndex = r === b ? 0 : -1; });
    visible = Number(b.dataset.slots);
    drawAll();
  };
  ranges.forEach((b, i) => {
    b.addEventListener("click", () => { chosen = true; choose(b); });
    b.addEventListener("keydown", (e) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
      if (!by) return;
      e.preventDefault();
      const next = ranges[(i + by + ranges.length) % ranges.length];
      chosen = true;
      choose(next);
      next.focus();
    });
  });
  const addSample = (p) => {
    const missed = Math.min(p.slot - data.slot, SLOTS);
    const push = (values) => {
      for (let i = 0; i < missed; i++) values.push(-1);
      if (values.length > SLOTS) values.splice(0, values.length - SLOTS);
    };
    if (missed > 0) {
      [data.ops, data.memory, data.clients, data.master_ms, ...Object.values(data.lag)].forEach(push);
      data.slot = p.slot;
    }
    const set = (values, v, worst) => {
      if (values.length === 0) values.push(v);
      else values[values.length - 1] = worst ? Math.max(values[values.length - 1], v) : v;
    };
    set(data.ops, p.ops);
    set(data.memory, p.memory);
    set(data.clients, p.clients);
    set(data.master_ms, p.master_ms, true);
    for (const [name, v] of Object.entries(p.lag)) {
      if (!data.lag[name]) data.lag[name] = data.ops.map(() => -1);
      set(data.lag[name], v, true);
    }
    for (const [name, values] of Object.entries(data.lag)) if (values.every((v) => v < 0) && !(name in p.lag)) delete data.lag[name];
  };

  // The state of a second ---------------------------------------------------------------------------------------------
  const render = (s) => {
    const { server, memory, clients, stats, persistence, master } = s;
    setText($("who"), server.role + " on port " + server.port + ", up for " + time(server.uptime * 1000));
    document.title = (master && !master.up ? "⚠ " : "") + "Aedile " + server.port + " " + server.role;
    show($("problem"), !!(master && master.problem));
    if (master && master.problem) {
      setText($("problem-text"), master.problem);
      setText($("problem-next"), (master.failures > 1 ? master.failures + " attempts have failed. " : "") +
        (master.next_ms > 0 ? "The next attempt is in " + time(master.next_ms) + "." : ""));
    }
    show($("loading"), server.loading !== null);
    if (server.loading) {
      const l = server.loading;
      if (l.total > 0) $("loading-bar").value = l.bytes / l.total * 100; else $("loading-bar").removeAttribute("value");
      setText($("loading-text"), bytes(l.bytes) + (l.total > 0 ? " of " + bytes(l.total) : ""));
    }
    const keys = s.keyspace.reduce((n, d) => n + d.keys, 0);
    const looked = stats.keyspace_hits + stats.keyspace_misses;
    const online = s.replicas.filter((r) => r.state === "Online").length;
    const worst = s.replicas.reduce((n, r) => Math.max(n, r.lag_ms || 0), 0);
    pairs("tiles", [
      ["Commands a second", count(stats.instantaneous_ops_per_sec), count(stats.total_commands_processed) + " so far"],
      ["Replicas online", online + " of " + s.replicas_all, s.replicas_all ? "worst lag " + time(worst) : "none connected"],
      ["Memory in use", bytes(memory.used_memory), memory.maxmemory > 0 ? "of " + bytes(memory.maxmemory) : "no limit"],
      ["Clients", count(clients.connected_clients), clients.blocked_clients + " blocked, " + count(clients.maxclients) + " at the most"],
      ["Keys", count(keys), s.keyspace.length + (s.keyspace.length === 1 ? " database" : " databases")],
      ["Hit rate", looked ? (stats.keyspace_hits / looked * 100).toFixed(1) + " %" : "–", count(looked) + " look-ups"],
    ]);
    topology(s);
    const reasons = Object.entries(s.sync_reasons).map(([name, n]) => n + " × " + name.replaceAll("_", " "));
    setText($("reasons"), reasons.length ? "Since the start: " + reasons.join(", ") + "." : "");
    rows("syncs", s.syncs, (x) => x.replica + x.began, (x) => {
      const r = s.replicas.find((r) => r.address === x.replica);
      const under = x.ended === null && r;
      return [x.replica, clock(x.began),
        under ? r.state + (r.size ? ", " + Math.floor(r.sent / r.size * 100) + " %" : "") : x.done && x.ended === x.began ? "done within a second" : (x.done ? "done after " : "broke off after ") + time(x.ended - x.began),
        REASONS[x.reason] || x.reason];
    }, ["", "t", "", ""]);
    rows("commands", s.commands, (c) => c.name, (c) =>
      [c.name, count(c.calls), time(c.usec / c.calls / 1000), c.p99 === null ? "–" : time(c.p99 / 1000), count(c.failed)], ["", "n", "n", "n", "n"]);
    rows("slowlog", s.slowlog, (e) => String(e.id), (e) =>
      [clock(e.time * 1000), e.command + (e.args > 1 ? ", " + e.args + " words" : ""), time(e.usec / 1000), e.peer], ["t", "", "n", ""]);
    rows("keyspace", s.keyspace, (d) => String(d.db), (d) =>
      ["db" + d.db, count(d.keys), count(d.expires), d.avg_ttl ? time(d.avg_ttl) : "–"], ["", "n", "n", "n"]);
    facts("memory", [
      ["Resident", bytes(memory.used_memory_rss)], ["Peak", bytes(memory.used_memory_peak)], ["Data", bytes(memory.used_memory_dataset)],
      ["Overhead", bytes(memory.used_memory_overhead)], ["Replication buffers", bytes(memory.mem_total_replication_buffers)], ["Client buffers", bytes(memory.mem_clients_normal)],
      ["Fragmentation", String(memory.mem_fragmentation_ratio)], ["Policy", String(memory.maxmemory_policy)],
      ["Input", count(stats.instantaneous_input_kbps) + " KB/s"], ["Output", count(stats.instantaneous_output_kbps) + " KB/s"],
      ["Expired, evicted", count(stats.expired_keys) + ", " + count(stats.evicted_keys)], ["A turn of the loop", time(stats.instantaneous_eventloop_duration_usec / 1000)],
    ]);
    const p = persistence;
    facts("persistence", [
      ["Changes since the last save", count(p.rdb_changes_since_last_save)], ["Last save", new Date(p.rdb_last_save_time * 1000).toLocaleString()],
      ["Last save went", p.rdb_last_bgsave_status + (p.rdb_last_bgsave_time_sec >= 0 ? ", " + p.rdb_last_bgsave_time_sec + " s" : "")],
      ["Save under way", p.rdb_bgsave_in_progress ? Math.floor(p.current_fork_perc) + " %" : "no"], ["Last fork", time(stats.latest_fork_usec / 1000)],
      ["Append-only file", p.aof_enabled ? (p.aof_rewrite_in_progress ? "on, being rewritten" : "on") : "off"], ["Its last write", String(p.aof_last_write_status)], ["Its last rewrite", String(p.aof_last_bgrewrite_status)],
    ]);
    addSample(s.sample);
    drawAll();
    document.documentElement.dataset.updates = String(Number(document.documentElement.dataset.updates || 0) + 1);
  };

  // The stream ------------------------------------------------------------------------------------------------------
  const live = (text, kind) => { setText($("live"), text); setClass($("live"), "live " + kind); };
  const stream = new EventSource("/events");
  stream.addEventListener("history", (e) => {
    Object.assign(data, JSON.parse(e.data));
    // What there is fills the charts, until somebody has chosen.
    if (!chosen) choose(ranges.find((b) => data.ops.length < Number(b.dataset.slots)) || ranges[ranges.length - 1]);
  });
  stream.addEventListener("state", (e) => { live("Live", "on"); render(JSON.parse(e.data)); });
  stream.addEventListener("error", () => live("No answer, trying again", "off"));
})();
