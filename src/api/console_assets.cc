#include "api/console_assets_internal.h"

namespace gantry::api {
namespace {

constexpr std::string_view kStyle = R"css(:root {
  color-scheme: light dark;
  --ground: #f4f5f7; --card: #ffffff; --text: #1c2127; --soft: #5a6472; --line: #d5dae1;
  --edge: #76818f;
  --accent: #1f5fbf; --on-accent: #ffffff; --bad: #a4161a; --bad-ground: #fdecec; --good: #14622f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171c; --card: #1d2229; --text: #e6e9ee; --soft: #a3adba; --line: #343c47;
    --edge: #7f8b99;
    --accent: #7fb0ff; --on-accent: #0d1420; --bad: #ffb3b5; --bad-ground: #3a1b1d; --good: #8fdba6;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif;
}
main { max-width: 26rem; margin: 0 auto; padding: 12vh 1rem 3rem; }
main.wide { max-width: 56rem; padding-top: 3rem; }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.75rem;
  margin-bottom: 1.25rem;
}
h1 { font-size: 1.4rem; margin: 0 0 1.25rem; }
h2 { font-size: 1.1rem; margin: 0 0 0.75rem; }
.brand { color: var(--soft); font-weight: 600; letter-spacing: 0.04em; margin: 0 0 0.75rem; }
label { display: block; font-weight: 600; margin: 0 0 0.3rem; }
input[type="text"], input[type="password"] {
  width: 100%; padding: 0.6rem 0.7rem; margin: 0 0 1rem; font: inherit; color: inherit;
  background: transparent; border: 1px solid var(--edge); border-radius: 6px;
}
.check { display: flex; gap: 0.5rem; align-items: center; font-weight: 400; margin: 0 0 1.25rem; }
button, .button {
  display: block; width: 100%; padding: 0.65rem; font: inherit; font-weight: 600; cursor: pointer;
  text-align: center; text-decoration: none; color: var(--on-accent); background: var(--accent);
  border: 1px solid var(--accent); border-radius: 6px;
}
button.plain, .button.plain { color: var(--text); background: transparent; border-color: var(--edge); }
button.small { width: auto; padding: 0.25rem 0.7rem; }
button[disabled] { opacity: 0.6; cursor: progress; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.or { text-align: center; color: var(--soft); margin: 1rem 0; }
.button + .button { margin-top: 0.6rem; }
.message { border-radius: 6px; padding: 0.6rem 0.8rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
.message.bad { color: var(--bad); background: var(--bad-ground); }
.message.good { color: var(--good); border: 1px solid currentColor; }
.hint { color: var(--soft); font-size: 0.9rem; margin: -0.6rem 0 1rem; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; padding: 0.4rem 0.6rem 0.4rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; font-size: 0.9rem; }
td.short { white-space: nowrap; }
.scroll { overflow-x: auto; }
.row { display: flex; justify-content: space-between; align-items: center; gap: 1rem; margin: 0 0 1rem; }
.row h1 { margin: 0; }
[hidden] { display: none !important; }
)css";

constexpr std::string_view kScript = R"js("use strict";

// Text from the server is only ever set as text.
const $ = (id) => document.getElementById(id);

function show(kind, text) {
  const box = $("message");
  box.className = "message " + kind;
  box.textContent = text;
  box.hidden = false;
}

async function call(method, path, body, csrf) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (csrf) headers["X-Gantry-CSRF"] = csrf;
  const response = await fetch(path, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  let json = {};
  try { json = text ? JSON.parse(text) : {}; } catch { json = { message: text }; }
  return { ok: response.ok, status: response.status, json,
           wait: Number(response.headers.get("Retry-After") || 0) };
}

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// Disables the form's button while `work` runs, and shows what went wrong.
function onSubmit(form, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    $("message").hidden = true;
    try { await work(new FormData(form)); } catch { show("bad", "The server did not answer."); }
    button.disabled = false;
  });
}

function startLogin(form) {
  onSubmit(form, async (data) => {
    const body = { user: data.get("user"), password: data.get("password"),
                   remember: data.get("remember") !== null };
    let answer = await call("POST", "/api/session", body);
    if (answer.status === 429 && answer.wait > 0 && answer.wait <= 3) {
      await pause(answer.wait);
      answer = await call("POST", "/api/session", body);
    }
    if (answer.ok) { location.assign(form.dataset.returnTo); return; }
    show("bad", answer.json.message || "Signing in failed.");
    form.elements.password.select();
  });
}

async function startLink(form) {
  const secret = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  const found = await call("POST", "/api/session/link", { secret });
  if (!found.ok) { show("bad", found.json.message); return; }
  $("whose").textContent = "For the user " + found.json.login + ".";
  form.elements.user.value = found.json.login;
  form.hidden = false;
  onSubmit(form, async (data) => {
    if (data.get("password") !== data.get("again")) {
      show("bad", "The two passwords differ.");
      return;
    }
    const answer = await call("POST", "/api/session/link/password",
                              { secret, newPassword: data.get("password") });
    if (!answer.ok) { show("bad", answer.json.message); return; }
    form.hidden = true;
    show("good", "The password is set. You can sign in with it now.");
    $("after").hidden = false;
  });
}

function startAccount(page) {
  const csrf = page.dataset.csrf;
  if ($("password")) onSubmit($("password"), async (data) => {
    if (data.get("password") !== data.get("again")) {
      show("bad", "The two passwords differ.");
      return;
    }
    const answer = await call("POST", "/api/session/password",
      { currentPassword: data.get("current"), newPassword: data.get("password") }, csrf);
    if (!answer.ok) { show("bad", answer.json.message); return; }
    $("password").reset();
    show("good", "The password is changed. Other sessions have ended.");
  });
  $("sign-out").addEventListener("click", async () => {
    const answer = await call("DELETE", "/api/session", undefined, csrf);
    if (answer.ok) location.assign(answer.json.logoutUrl || "/login");
    else show("bad", answer.json.message);
  });
  for (const button of document.querySelectorAll("button[data-link]"))
    button.addEventListener("click", async () => {
      const answer = await call("POST", button.dataset.link, undefined, csrf);
      if (answer.ok) location.assign(answer.json.location); else show("bad", answer.json.message);
    });
  for (const button of document.querySelectorAll("button[data-session]"))
    button.addEventListener("click", async () => {
      const answer = await call("POST", "/api/user/revoke-auth-token",
                                { authTokenId: button.dataset.session }, csrf);
      if (answer.ok) button.closest("tr").remove(); else show("bad", answer.json.message);
    });
}

if ($("login")) startLogin($("login"));
if ($("link")) startLink($("link"));
if ($("account")) startAccount($("account"));
)js";

}  // namespace

std::string_view console_style() {
  return kStyle;
}

std::string_view console_script() {
  return kScript;
}

}  // namespace gantry::api
