// The frame around all pages.
import "./app.css";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { key, login, useKey } from "./api";
import { clock, span } from "./format";
import { freshness, hasSnapshot, now, reason, skew, staleSince, start } from "./live";
import { place } from "./route";
import { theme, toggle } from "./theme";
import { Dialogs, useAsked } from "./ui";
import { Alerts } from "./pages/alerts";
import { Links } from "./pages/links";
import { Operations } from "./pages/operations";
import { Overview } from "./pages/overview";
import { Sessions } from "./pages/sessions";
import { ChittyId, idHealth, Settings } from "./pages/settings";

const PAGES: [string, string, () => preact.JSX.Element][] = [
  ["", "Overview", Overview],
  ["links", "Links", Links],
  ["sessions", "Sessions", Sessions],
  ["operations", "Operations", Operations],
  ["alerts", "Alerts", Alerts],
  ["chittyid", "ChittyID", ChittyId],
  ["settings", "Settings", Settings],
];

/** How fresh what is shown is. */
function Freshness() {
  const since = staleSince.value;
  const off = skew.value ?? 0;
  const looks = { live: ["good", "●", "live"], silent: ["bad", "■", "silent"], lost: ["bad", "■", "reconnecting"], connecting: ["idle", "◌", "connecting"] } as const;
  const [tone, sign, text] = looks[freshness.value];
  return (
    <span class={`chip ${tone}`} id="freshness" title={`the server's clock is ${span(Math.abs(off))} ${off < 0 ? "ahead" : "behind"}`}>
      <span aria-hidden="true">{sign}</span> {text}{since ? ` since ${clock(since)}` : ""}
      {Math.abs(off) > 2000 && <small> · clocks differ by {span(Math.abs(off))}</small>}
    </span>
  );
}

function Login() {
  const [text, setText] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    useKey(text.trim());
    void start();
  };
  return (
    <main class="login" id="main">
      <form onSubmit={submit} class="panel">
        <h1>Mainstay</h1>
        <p>{login.value}</p>
        <label>
          API key or token
          <input type="password" name="key" autocomplete="current-password" required autofocus value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="submit" class="primary">Sign in</button>
        <p class="quiet">For the roles operator and admin. It is kept until this tab is closed.</p>
      </form>
    </main>
  );
}

const KEYS: [string, string][] = [["/", "search"], ["g o", "overview"], ["g l", "links"], ["g s", "sessions"], ["g p", "operations"], ["g a", "alerts"], ["t", "light or dark"], ["?", "this help"], ["Esc", "close"]];
const JUMPS: Record<string, string> = { o: "", l: "links", s: "sessions", p: "operations", a: "alerts" };

function useKeys(help: () => void) {
  useEffect(() => {
    let before = "";
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || document.querySelector("dialog[open]")) return;
      const jump = before === "g" ? JUMPS[event.key] : undefined;
      before = event.key;
      if (jump !== undefined) location.hash = `#/${jump}`;
      else if (event.key === "?") help();
      else if (event.key === "t") toggle();
      else if (event.key === "/") {
        event.preventDefault();
        const field = document.querySelector<HTMLInputElement>("[data-search]");
        if (field) field.focus();
        else location.hash = "#/sessions";
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

function Help({ close }: { close: () => void }) {
  return (
    <dialog ref={(element) => { if (element && !element.open) element.showModal(); }} onClose={close} aria-labelledby="help-title">
      <h2 id="help-title">Keys</h2>
      <dl class="keys">{KEYS.map(([name, text]) => <div key={name}><dt><kbd>{name}</kbd></dt><dd>{text}</dd></div>)}</dl>
      <div class="actions"><button type="button" class="primary" onClick={close}>Close</button></div>
    </dialog>
  );
}

function Shell() {
  const [help, setHelp] = useState(false);
  const { value: ids } = useAsked(idHealth, 60_000, []);
  useKeys(() => setHelp(true));
  const [name = ""] = place.value.parts;
  const page = PAGES.find(([path]) => path === name);
  const Page = page?.[2];
  const title = page?.[1] ?? "Nothing here";
  useEffect(() => {
    document.title = `${title} · Mainstay`;
  }, [title]);
  const since = staleSince.value;
  return (
    <div class={since ? "shell stale" : "shell"}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href="#/"><img src="/dashboard/icon.svg" alt="" width="22" height="22" /> Mainstay</a>
        <nav aria-label="Pages">
          {PAGES.filter(([path]) => path !== "chittyid" || ids).map(([path, text]) => <a key={path} href={`#/${path}`} aria-current={path === name ? "page" : undefined}>{text}</a>)}
        </nav>
        <span class="tools">
          <Freshness />
          <button type="button" class="icon" onClick={toggle} aria-label={theme.value === "dark" ? "Light colours" : "Dark colours"} title="Light or dark (t)">{theme.value === "dark" ? "☀" : "☾"}</button>
          <button type="button" class="icon" onClick={() => setHelp(true)} aria-label="Keys" title="Keys (?)">?</button>
          {key() && <button type="button" onClick={() => { useKey(null); location.reload(); }}>Sign out</button>}
        </span>
      </header>
      {since && (
        <p class="banner" role="alert">
          ■ What is shown is out of date: nothing was heard from the server since {clock(since)} ({span(now.value - since)}). {reason.value && `${reason.value}.`} Trying again.
        </p>
      )}
      <main id="main" tabIndex={-1}>
        <h1 class="unseen">{title}</h1>
        {!hasSnapshot.value ? <p class="empty">{freshness.value === "lost" ? `No connection: ${reason.value}. Trying again.` : "Connecting…"}</p> : Page ? <Page /> : <p class="empty">There is no such page.</p>}
      </main>
      <Dialogs />
      {help && <Help close={() => setHelp(false)} />}
    </div>
  );
}

function App() {
  useEffect(() => void start(), []);
  return login.value !== null ? <Login /> : <Shell />;
}

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  render(<App />, root);
}
