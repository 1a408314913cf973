// Where does this number come from? From a bar to its points, the raw line, the page, the fetch,
// the run. GET /data, GET /data/{id}/lineage, GET /raw/{page_id}.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { utc } from "../../format/times";
import { useAnswer } from "../../state/answers";
import { Price } from "../../ui/figures";
import { Moment } from "../../ui/moments";
import { Shape } from "../../ui/panel";
import { Drawer, Facts, Go } from "../../ui/parts";
import { MEANINGS } from "../../ui/word";
import { NUMBERS, RawRecord } from "./raw_record";
import { Words } from "./words";

type Version = Schemas["Version"];
const VALUES = [...NUMBERS, "sentiment", "title"];
const MOST = 100;

/** Of a bar: the data points that it is made of. */
export function WhereFrom(props: {
  bar: Schemas["Bar"];
  series: Schemas["BarsOfSeries"];
  onClose: () => void;
}) {
  const { bar, series } = props;
  const [chosen, choose] = useState<string | null>(null);
  const points = useAnswer("/data", {
    dataset: series.dataset,
    source: series.source,
    instrument: series.instrument,
    currency: series.currency,
    kind: series.kind,
    ...within(bar, series),
    order: "asc",
    limit: MOST,
  });
  const found = points.data ?? [];
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (chosen) box.current?.scrollIntoView({ block: "start" });
  }, [chosen]);
  const id = chosen ?? (found.length === 1 ? found[0]!.id : null);
  return (
    <Drawer title="Where does this number come from?" onClose={props.onClose}>
      <div>
        <strong>
          <Price value={bar.close} /> {series.currency}
        </strong>{" "}
        <span class="soft">
          closed the bar of {utc(bar.open_time)}, made of {count(bar.points)} data{" "}
          {bar.points === 1 ? "point" : "points"} of {series.dataset}
        </span>
      </div>
      {points.error && <div class="error">{points.error.message}</div>}
      {!points.data && !points.error && <Shape lines={4} />}
      {found.length > 1 && <Points of={found} chosen={id} onChoose={choose} />}
      <div ref={box} class="stack">
        {id && <Explained key={id} id={id} />}
      </div>
    </Drawer>
  );
}

/** From where to where its data points lie: a candle that says its end has it in the next bar. */
function within(bar: Schemas["Bar"], series: Schemas["BarsOfSeries"]) {
  const shift = series.timestamp_is === "close" && series.kind === "candle" ? 1 : 0;
  const moved = (time: string) => new Date(Date.parse(time) + shift).toISOString();
  return { from: moved(bar.open_time), to: moved(bar.close_time) };
}

function Points(props: {
  of: Schemas["DataPoint"][];
  chosen: string | null;
  onChoose: (id: string) => void;
}) {
  return (
    <section>
      <h2>
        Data points{props.of.length === MOST && <span class="soft"> · the first {MOST}</span>}
      </h2>
      <table>
        <tbody>
          {props.of.map((each) => (
            <tr key={each.id} class="pick" aria-selected={each.id === props.chosen}>
              <td>
                <button class="quiet" onClick={() => props.onChoose(each.id)}>
                  {utc(each.timestamp)}
                </button>
              </td>
              <td class="right">
                <Price value={each.close ?? each.price} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The versions of a data point, newest first, each back to what was fetched. */
export function Explained({ id }: { id: string }) {
  const lineage = useAnswer("/data/{data_id}/lineage", {}, { data_id: id });
  const [n, choose] = useState(0);
  if (lineage.error) return <div class="error">{lineage.error.message}</div>;
  if (!lineage.data) return <Shape lines={8} />;
  const { versions, notes } = lineage.data;
  const version = versions[n] ?? versions[0];
  if (!version) return <p>Nothing is known of it.</p>;
  return (
    <>
      {versions.length > 1 && <Versions of={versions} chosen={n} onChoose={choose} />}
      <Origin of={version} before={versions[n + 1]} />
      {notes.map((note) => (
        <p key={note} class="care">
          {note}
        </p>
      ))}
    </>
  );
}

function Versions(props: { of: Version[]; chosen: number; onChoose: (n: number) => void }) {
  return (
    <section>
      <h2>{props.of.length} versions</h2>
      <div class="row">
        {props.of.map((each, n) => (
          <button
            key={each.revision}
            aria-pressed={n === props.chosen}
            onClick={() => props.onChoose(n)}
          >
            {each.revision}
            {each.until === null ? " · now" : ""}
          </button>
        ))}
      </div>
    </section>
  );
}

function Origin({ of: version, before }: { of: Version; before: Version | undefined }) {
  const { page, record, run } = version;
  const origin = page?.origin ?? {};
  return (
    <>
      <section>
        <h2>Value</h2>
        <Values of={version} before={before} />
        {version.sentiment && <Words of={version} />}
        {unreadable(version).map(([name, why]) => (
          <p key={name} class="care">
            No {name.replace("_", " ")}: {why}
          </p>
        ))}
      </section>
      <section>
        <h2>
          {record.line === null
            ? `Record ${record.index ?? ""} of its page`
            : `Line ${count(record.line)} of the file`}
        </h2>
        <RawRecord version={version} />
      </section>
      <section>
        <h2>Fetched</h2>
        <Facts
          of={{
            from: text(origin["url"] ?? origin["path"]),
            at: page?.fetched_at && <Moment time={page.fetched_at} />,
            status: text(origin["status"]),
            "sha-256": origin["sha256"] ? (
              <span class="mono">{String(origin["sha256"]).slice(0, 16)}…</span>
            ) : null,
            page: page && (
              <span class="mono" title={MEANINGS.page}>
                {page.topic} {page.partition}:{page.offset} · {count(page.record_count)} records
              </span>
            ),
          }}
        />
      </section>
      <section>
        <h2>Run</h2>
        <Facts
          of={{
            "written by": (
              <Go to={{ room: "runs", run: run.run_id }}>
                {run.kind ?? "run"} {run.run_id.slice(0, 8)}
              </Go>
            ),
            since: <Moment time={version.since} />,
            until: version.until && <Moment time={version.until} />,
            "mapping version": String(version.normalizer_version),
          }}
        />
      </section>
    </>
  );
}

/** Values that could not be read, of a row that counts all the same, each with the reason. */
function unreadable(version: Version): [string, string][] {
  const attributes = version.values["attributes"] as {
    unreadable?: Record<string, string>;
  } | null;
  return Object.entries(attributes?.unreadable ?? {});
}

function text(value: unknown): string | null {
  return value == null ? null : String(value);
}

/** Old and new where a version changed them. */
function Values({ of: version, before }: { of: Version; before: Version | undefined }) {
  const known = VALUES.filter((name) => version.values[name] != null);
  return (
    <dl class="facts">
      {known.map((name) => {
        const [now, then] = [text(version.values[name]), text(before?.values[name])];
        return [
          <dt key={name}>{name}</dt>,
          <dd key={`${name}=`}>
            {before && now !== then ? (
              <>
                <del>{then ?? "–"}</del> <ins>{now}</ins>
              </>
            ) : (
              now
            )}
          </dd>,
        ];
      })}
    </dl>
  );
}
