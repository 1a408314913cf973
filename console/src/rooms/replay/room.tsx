// Replay: raw pages again, by the mapping of now; first as a preview, then for good.
// GET /raw, POST /replay, GET /runs/{run_id}/diff, POST …/publish, POST …/discard.

import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { count, plural } from "../../format/numbers";
import { useAnswer } from "../../state/answers";
import { change, usePlace } from "../../state/place";
import { Act } from "../../ui/actions";
import { Moment } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Go } from "../../ui/parts";
import { Table } from "../../ui/table";
import { Preview } from "./preview";

type Page = Schemas["RawPages"]["pages"][number];
type Chosen = Map<string, { partition: number; from: number; to: number }>;
const SOURCES = ["", "coinpaprika", "coingecko", "csv", "rss"] as const;

export function Replay() {
  const place = usePlace();
  const [source, setSource] = useState<string>("");
  const [stream, setStream] = useState("");
  const [chosen, setChosen] = useState<Chosen>(new Map());
  const wanted = { source: source || null, stream: stream || null };
  const turn = (page: Page) => setChosen((before) => turned(before, page));
  const pages = useAnswer("/raw", { ...wanted, limit: 100 } as never);
  return (
    <>
      <div class="head">
        <h1>Replay</h1>
      </div>
      <p class="soft">
        What was fetched is kept as it came. After an update that reads it better, or to see what it
        would become today, map it again: you see every difference before anything changes. A file
        whose entry in mapping.yaml changed is read again instead: in{" "}
        <Go to={{ room: "sources" }}>Sources</Go>.
      </p>
      {place["preview"] && <Preview run={place["preview"]} />}
      <Panel
        title="Raw pages, newest first"
        answer={pages}
        flush
        lines={8}
        tools={
          <>
            <select
              aria-label="Source"
              value={source}
              onChange={(event) => setSource(event.currentTarget.value)}
            >
              {SOURCES.map((each) => (
                <option key={each} value={each}>
                  {each || "all sources"}
                </option>
              ))}
            </select>
            <input
              data-search
              placeholder="name of a stream"
              aria-label="Stream"
              value={stream}
              onChange={(event) => setStream(event.currentTarget.value.trim())}
            />
            <Act
              label={chosen.size ? `Preview ${plural(chosen.size, "page")}` : "Preview all"}
              main
              says={
                <p>
                  {chosen.size
                    ? plural(chosen.size, "chosen page")
                    : `The raw pages of ${stream || source || "every source"}`}{" "}
                  {chosen.size === 1 ? "is" : "are"} mapped again. Nothing that is served changes
                  until you publish.
                </p>
              }
              address={addressOf("/replay")}
              body={{
                ...(chosen.size ? { offsets: [...chosen.values()] } : known(wanted)),
                mode: "preview",
              }}
              onDone={(answer) =>
                change({ preview: (answer as Schemas["RunAccepted"]).run_id }, true)
              }
            />
          </>
        }
        empty={
          <>
            <strong>No raw page matches.</strong> Ingest something, or choose another stream.
          </>
        }
      >
        {(found) =>
          found.pages.length ? (
            <Pages of={found} chosen={chosen} onTurn={turn} onStream={setStream} />
          ) : null
        }
      </Panel>
    </>
  );
}

function known(wanted: Record<string, string | null>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(wanted).filter((pair): pair is [string, string] => pair[1] !== null),
  );
}

/** Places in ingest.raw, by themselves. */
function turned(chosen: Chosen, page: Page): Chosen {
  const next = new Map(chosen);
  const { partition, offset } = page;
  if (!next.delete(placeOf(page))) {
    next.set(placeOf(page), { partition, from: offset, to: offset + 1 });
  }
  return next;
}

function placeOf(page: Page): string {
  return `${page.partition}:${page.offset}`;
}

function Pages(props: {
  of: Schemas["RawPages"];
  chosen: Chosen;
  onTurn: (page: Page) => void;
  onStream: (stream: string) => void;
}) {
  return (
    <>
      <Table
        head={[
          "Choose",
          "Stream",
          ["Page", "right"],
          ["Records", "right"],
          "Fetched",
          "Place in ingest.raw",
        ]}
      >
        {props.of.pages.map((page) => (
          <tr key={page.page_id}>
            <td>
              <input
                type="checkbox"
                aria-label={`Page ${page.page_no} of ${page.stream}`}
                checked={props.chosen.has(placeOf(page))}
                onChange={() => props.onTurn(page)}
              />
            </td>
            <td class="wrap">
              <button class="quiet" onClick={() => props.onStream(page.stream)}>
                {page.stream}
              </button>
            </td>
            <td class="right">{count(page.page_no)}</td>
            <td class="right">{count(page.record_count)}</td>
            <td>
              <Moment time={page.fetched_at} />
            </td>
            <td class="mono">{placeOf(page)}</td>
          </tr>
        ))}
      </Table>
      {props.of.pruned_before && (
        <p class="say">
          Older pages were removed: <Moment time={props.of.pruned_before} />
        </p>
      )}
    </>
  );
}
