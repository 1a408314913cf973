// Schedules: when what is ingested, and what became of it.
// GET /schedules, PUT and DELETE /schedules/{name}, PUT and DELETE /pauses/schedule/{name}.

import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { span, utc } from "../../format/times";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Field, Select, Text } from "../../ui/fields";
import { Moment } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Badge, Go, Status } from "../../ui/parts";
import { Table } from "../../ui/table";
import { Configured } from "../sources/configured";
import { Pause } from "../sources/pause";

type State = Schemas["ScheduleState"];
const changed = () => outdate("/schedules", "/sources");

export function Schedules() {
  const schedules = useAnswer("/schedules");
  const [chosen, choose] = useState<State | null>(null);
  return (
    <>
      <div class="head">
        <h1>Schedules</h1>
        <div class="end">
          <Pause what="*" label="everything" />
        </div>
      </div>
      <Panel
        title="By name"
        answer={schedules}
        flush
        empty={
          <>
            <strong>Nothing is ingested by itself.</strong> Make a schedule below.
          </>
        }
      >
        {(found) => (found.length ? <Listed of={found} onChoose={choose} /> : null)}
      </Panel>
      <Edit key={chosen?.name ?? ""} of={chosen} onDone={() => choose(null)} />
    </>
  );
}

function Listed(props: { of: State[]; onChoose: (schedule: State) => void }) {
  const warning = props.of[0]?.forecast.warning;
  return (
    <>
      <Table head={["Name", "When", "What", "Next", "Last run", "State", "What to do"]}>
        {props.of.map((each) => (
          <tr key={each.name}>
            <td class="wrap">
              <strong>{each.name}</strong>
              {each.note && <div class="soft">{each.note}</div>}
              <div>
                <Configured of={each} />
              </div>
            </td>
            <td>{when(each)}</td>
            <td class="wrap">{what(each)}</td>
            <td title={each.next.map(utc).join(", ")}>
              <Moment time={each.next[0]} />
            </td>
            <td>
              {each.last_run ? (
                <Go to={{ room: "runs", run: each.last_run.run_id }}>
                  <Status of={each.last_run.status} />
                </Go>
              ) : (
                <span class="soft">none yet</span>
              )}
            </td>
            <td>
              {each.paused ? <Badge tone="warn">paused</Badge> : <Badge tone="good">on</Badge>}
            </td>
            <td class="right">
              <span class="row">
                <button onClick={() => props.onChoose(each)}>Change</button>
                <Pause what={`schedule/${each.name}`} />
                <Act
                  label="Remove"
                  says={<p>Nothing is ingested by {each.name} any more. Its runs stay.</p>}
                  method="DELETE"
                  address={addressOf("/schedules/{name}", {}, { name: each.name })}
                  onDone={changed}
                />
              </span>
            </td>
          </tr>
        ))}
      </Table>
      {warning && <p class="say care">{warning}</p>}
    </>
  );
}

function when(schedule: State): string {
  if (schedule.every_s !== null) return `every ${span(schedule.every_s)}`;
  return `${schedule.cron} ${schedule.timezone}`;
}

function what(schedule: State): string {
  const asked = schedule.streams ?? schedule.sources ?? ["everything"];
  const days = schedule.history_days;
  return asked.join(", ") + (days ? `: ${count(days)} days of history` : "");
}

const SOURCES = {
  "": "everything",
  coinpaprika: "coinpaprika",
  coingecko: "coingecko",
  csv: "csv",
  rss: "rss",
};

/** A new one, or one that is changed. */
function Edit({ of: given, onDone }: { of: State | null; onDone: () => void }) {
  const [name, setName] = useState(given?.name ?? "");
  const [kind, setKind] = useState(given?.every_s ? "every" : "cron");
  const [cron, setCron] = useState(given?.cron ?? "0 7 * * *");
  const [zone, setZone] = useState(given?.timezone ?? own());
  const [every, setEvery] = useState(String(given?.every_s ?? 3600));
  const [source, setSource] = useState(given?.sources?.[0] ?? "");
  const [days, setDays] = useState(String(given?.history_days ?? ""));
  const [missed, setMissed] = useState<string>(given?.missed ?? "once");
  const [note, setNote] = useState(given?.note ?? "");
  const isWhole = !given?.streams && (given?.sources?.length ?? 0) < 2;
  const body = {
    ...(kind === "cron" ? { cron, timezone: zone } : { every_s: Number(every) }),
    sources: isWhole ? (source ? [source] : null) : (given?.sources ?? null),
    streams: given?.streams ?? null,
    history_days: days ? Number(days) : null,
    missed,
    note,
  };
  return (
    <section class="panel" aria-label="A schedule">
      <header>
        <h2>{given ? `Change ${given.name}` : "A new schedule"}</h2>
      </header>
      <div class="body row form">
        {!given && <Text label="Name" value={name} onChange={setName} hint="mornings" size={12} />}
        <Select
          label="When"
          value={kind}
          values={{ cron: "at times of the day", every: "at an interval" }}
          onChange={setKind}
        />
        {kind === "cron" ? (
          <>
            <Text label="Minute hour day month weekday" value={cron} onChange={setCron} size={16} />
            <Text label="Time zone" value={zone} onChange={setZone} size={18} />
          </>
        ) : (
          <Text label="Seconds" value={every} onChange={setEvery} size={8} />
        )}
        {isWhole && <Select label="What" value={source} values={SOURCES} onChange={setSource} />}
        <Text label="Days of history" value={days} onChange={setDays} hint="none" size={8} />
        <Select
          label="Missed times"
          value={missed}
          values={{ once: "make up for the last", skip: "leave them out" }}
          onChange={setMissed}
        />
        <Field label="Note">
          <input value={note} onInput={(event) => setNote(event.currentTarget.value)} />
        </Field>
        <Act
          label="Save"
          main
          disabled={!name.trim()}
          method="PUT"
          address={addressOf("/schedules/{name}", {}, { name: name.trim() })}
          body={body}
          onDone={() => {
            changed();
            setName("");
            onDone();
          }}
        />
        {given && <button onClick={onDone}>Cancel</button>}
      </div>
    </section>
  );
}

function own(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
