// Keys: who may use the API, and who asked for what.
// GET /me, GET and POST /keys, DELETE /keys/{key_id}, GET /audit.

import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Select, Text } from "../../ui/fields";
import { Ago, Moment } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Badge, Go } from "../../ui/parts";
import { ShownOnce } from "../../ui/shown_once";
import { Table } from "../../ui/table";

type Key = Schemas["ApiKeyState"];
const changed = () => outdate("/keys", "/audit");
const SCOPES = {
  read: "read: ask",
  operate: "operate: also start and change",
  admin: "admin: also make keys",
};

export function Keys() {
  const me = useAnswer("/me");
  const mayAll = me.data?.scope === "admin";
  return (
    <>
      <div class="head">
        <h1>Keys</h1>
        {me.data && (
          <span class="soft">
            You have {me.data.note ? `“${me.data.note}”` : "API_KEY"}, which may {me.data.scope}.
          </span>
        )}
      </div>
      {me.data && !mayAll && <p class="say">Keys are made and seen with a key that may admin.</p>}
      {mayAll && <Made />}
      {mayAll && <Asked />}
    </>
  );
}

function Made() {
  const keys = useAnswer("/keys");
  return (
    <Panel title="Keys beside API_KEY" answer={keys} flush empty="">
      {(found) => (
        <>
          {found.length > 0 && (
            <Table head={["For", "May", "Made", "Ends", "Last used", "State", "What to do"]}>
              {found.map((each) => (
                <Row key={each.key_id} of={each} />
              ))}
            </Table>
          )}
          <Make />
        </>
      )}
    </Panel>
  );
}

function Row({ of: key }: { of: Key }) {
  const isOver = key.expires_at !== null && Date.parse(key.expires_at) < Date.now();
  return (
    <tr>
      <td class="wrap">
        {key.note} <span class="soft mono">{key.key_id.slice(0, 8)}</span>
      </td>
      <td>
        {key.scope}
        {key.requests_per_minute && (
          <span class="soft"> {count(key.requests_per_minute)} a minute</span>
        )}
      </td>
      <td>
        <Moment time={key.made_at} />
      </td>
      <td>{key.expires_at ? <Moment time={key.expires_at} /> : "never"}</td>
      <td>{key.last_used_at ? <Ago time={key.last_used_at} /> : <span class="soft">–</span>}</td>
      <td>
        {key.revoked_at ? (
          <Badge tone="bad">revoked</Badge>
        ) : (
          <Badge tone={isOver ? "warn" : "good"}>{isOver ? "ended" : "counts"}</Badge>
        )}
      </td>
      <td class="right">
        {!key.revoked_at && (
          <Act
            label="Revoke"
            says={<p>“{key.note}” opens nothing any more, at once and for good.</p>}
            method="DELETE"
            address={addressOf("/keys/{key_id}", {}, { key_id: key.key_id })}
            onDone={changed}
          />
        )}
      </td>
    </tr>
  );
}

/** The key itself is shown once. */
function Make() {
  const [scope, setScope] = useState("read");
  const [note, setNote] = useState("");
  const [days, setDays] = useState("90");
  const [most, setMost] = useState("");
  const [made, setMade] = useState<Schemas["MadeKey"] | null>(null);
  return (
    <div class="say">
      <div class="row form">
        <Select label="May" value={scope} values={SCOPES} onChange={setScope} />
        <Text label="Who has it, and for what" value={note} onChange={setNote} hint="dashboard" />
        <Text label="Days, empty for ever" value={days} onChange={setDays} size={6} />
        <Text label="Requests a minute" value={most} onChange={setMost} size={8} />
        <Act
          label="Make a key"
          main
          disabled={!note.trim()}
          address={addressOf("/keys")}
          body={{
            scope,
            note: note.trim(),
            days: numberOf(days),
            requests_per_minute: numberOf(most),
          }}
          onDone={(answer) => {
            setMade(answer as Schemas["MadeKey"]);
            setNote("");
            changed();
          }}
        />
      </div>
      {made && <ShownOnce says="Shown this once:" secret={made.key} onSeen={() => setMade(null)} />}
    </div>
  );
}

const numberOf = (text: string) => (text.trim() ? Number(text) : null);

function Asked() {
  const audit = useAnswer("/audit", { limit: 100 });
  return (
    <Panel title="Who asked for what" answer={audit} flush empty="Nobody asked for anything.">
      {(found) =>
        found.length ? (
          <Table head={["When", "Who", "What", "About", "Before", "Now"]}>
            {found.map((each) => (
              <tr key={each.id}>
                <td>
                  <Ago time={each.at} />
                </td>
                <td title={each.asked_by ?? ""}>{who(each.asked_by)}</td>
                <td>{each.action}</td>
                <td class="wrap">
                  <Subject of={each} />
                </td>
                <td class="wrap mono">{shown(each.before)}</td>
                <td class="wrap mono">{shown(each.after)}</td>
              </tr>
            ))}
          </Table>
        ) : null
      }
    </Panel>
  );
}

function Subject({ of: entry }: { of: Schemas["AuditEntry"] }) {
  const isRun = /^[0-9a-f-]{36}$/.test(entry.subject);
  if (!isRun) return <>{entry.subject}</>;
  return <Go to={{ room: "runs", run: entry.subject }}>run {entry.subject.slice(0, 8)}</Go>;
}

function who(name: string | null): string {
  if (name === null) return "–";
  return /^[0-9a-f-]{36}$/.test(name) ? name.slice(0, 8) : name;
}

/** On one line, without what stands beside it. */
function shown(value: unknown): string {
  if (value === null || typeof value !== "object") return value === null ? "–" : String(value);
  const left = Object.entries(value).filter(
    ([name]) => !["type", "run_id", "requested_at", "key_id"].includes(name),
  );
  const text = JSON.stringify(Object.fromEntries(left));
  return text.length > 160 ? `${text.slice(0, 159)}…` : text;
}
