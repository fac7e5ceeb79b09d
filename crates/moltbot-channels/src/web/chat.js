"use strict";
// Sends a message, shows its answer as it is written. The server makes all HTML of answers.
const body = document.body;
const log = document.getElementById("log");
const form = document.getElementById("form");
const text = document.getElementById("text");
const state = document.getElementById("state");
const button = form.querySelector("button");

function add(who) {
  const article = document.getElementById("said-" + who).content.firstElementChild.cloneNode(true);
  log.append(article);
  return article.querySelector(".said");
}

function below() {
  log.scrollTop = log.scrollHeight;
}

async function send(said) {
  const mine = document.createElement("p");
  mine.className = "plain";
  mine.textContent = said;
  add("user").append(mine);
  const answer = add("bot");
  // Spoken once, at its end, and not at every piece.
  log.setAttribute("aria-busy", "true");
  state.textContent = body.dataset.thinking;
  below();
  // The same id at a repeat: the server answers it once.
  const message = JSON.stringify({ id: crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) + Date.now(), text: said });
  let done = false;
  for (let tries = 0; tries < 3 && !done; tries += 1) {
    try {
      done = await stream(message, answer);
    } catch {
      await new Promise((later) => setTimeout(later, 1000 * (tries + 1)));
    }
  }
  state.textContent = done ? "" : body.dataset.failed;
  if (!done && !answer.hasChildNodes()) answer.closest("article").remove();
  if (done && !answer.hasChildNodes()) answer.closest("article").remove();
  log.removeAttribute("aria-busy");
  below();
}

async function stream(message, answer) {
  const response = await fetch(body.dataset.base + "/messages", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: message,
  });
  if (!response.ok || !response.body) throw new Error(String(response.status));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return false;
    held += value;
    let end;
    while ((end = held.indexOf("\n\n")) >= 0) {
      const line = held.slice(0, end).split("\n").find((part) => part.startsWith("data: "));
      held = held.slice(end + 2);
      if (!line) continue;
      const event = JSON.parse(line.slice(6));
      if (event.html !== undefined) answer.innerHTML = event.html;
      below();
      if (event.ended) return true;
    }
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (!said || button.disabled) return;
  text.value = "";
  button.disabled = true;
  try {
    await send(said);
  } finally {
    button.disabled = false;
    text.focus();
  }
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

below();
text.focus();
