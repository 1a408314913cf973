// Inbox: records that were refused, by reason, each with the field that was wrong.
// GET /dead-letters, GET /dead-letters/{letter_id}, POST …/requeue, …/discard, GET /health.

import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { count, plural } from "../../format/numbers";
import { outdate, useAnswer } from "../../state/answers";
import { change, usePlace } from "../../state/place";
import { Act } from "../../ui/actions";
import { Ago } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Badge, Choice } from "../../ui/parts";
import { Discard } from "./discard";
import { Gaps } from "./gaps";
import { LetterDrawer } from "./letter";

type Letter = Schemas["DeadLetter"];
const STATES = ["open", "requeued", "discarded"] as const;
const changed = () => outdate("/dead-letters", "/stats");

export function Inbox() {
  const place = usePlace();
  const [status, setStatus] = useState<(typeof STATES)[number]>("open");
  const letters = useAnswer("/dead-letters", {
    status,
    reason: place["reason"] ?? null,
    run_id: place["of"] ?? null,
    limit: 500,
  });
  return (
    <>
      <div class="head">
        <h1>Inbox</h1>
        <div class="end">
          <Choice label="State" values={STATES} value={status} onChange={setStatus} />
        </div>
      </div>
      <Gaps />
      {(place["reason"] || place["of"]) && (
        <p>
          Only {place["reason"]?.replaceAll("_", " ")}
          {place["of"] && ` of run ${place["of"].slice(0, 8)}`}.{" "}
          <button class="quiet" onClick={() => change({ reason: null, of: null })}>
            Show all
          </button>
        </p>
      )}
      <Panel
        title={`Dead letters, ${status}`}
        answer={letters}
        lines={6}
        empty={
          status === "open" ? (
            <>
              <strong>The inbox is empty.</strong> No record waits for a decision.
            </>
          ) : (
            `No letter is ${status}.`
          )
        }
      >
        {(found) => {
          if (!found.length) return null;
          const groups = grouped(found);
          return (
            <>
              {[...groups].map(([reason, some]) => (
                <Group key={reason} reason={reason} letters={some} isOpen={status === "open"} />
              ))}
            </>
          );
        }}
      </Panel>
      {place["letter"] && (
        <LetterDrawer
          key={place["letter"]}
          id={place["letter"]}
          onClose={() => change({ letter: null })}
          onDone={changed}
        />
      )}
    </>
  );
}

function grouped(letters: Letter[]): Map<string, Letter[]> {
  const found = new Map<string, Letter[]>();
  for (const letter of letters) {
    const of = found.get(letter.reason) ?? [];
    found.set(letter.reason, [...of, letter]);
  }
  return found;
}

function Group(props: { reason: string; letters: Letter[]; isOpen: boolean }) {
  const { reason, letters } = props;
  const whole = letters.reduce((sum, each) => sum + each.count, 0);
  return (
    <section>
      <div class="row">
        <h2>{reason.replaceAll("_", " ")}</h2>
        <Badge tone="warn">{count(whole)}</Badge>
        {props.isOpen && (
          <>
            <Act
              label="Requeue all of this kind"
              says={
                <p>
                  {plural(whole, "record")} of what was fetched are mapped again. What is wrong in
                  the file stays wrong: mend it there, and upload it again under the same name.
                </p>
              }
              address={addressOf("/dead-letters/requeue")}
              body={{ reason }}
              onDone={changed}
            />
            <Discard
              label="Discard all of this kind"
              says={plural(whole, "record")}
              address={addressOf("/dead-letters/discard")}
              body={{ reason }}
              onDone={changed}
            />
          </>
        )}
      </div>
      <div class="scroll" tabIndex={0}>
        <table>
          <tbody>
            {letters.slice(0, 50).map((letter) => (
              <tr key={letter.id} class="pick" onClick={() => change({ letter: letter.id })}>
                <td class="wrap">
                  <button class="quiet">{letter.stream ?? letter.topic}</button>
                </td>
                <td>{letter.field && <code>{letter.field}</code>}</td>
                <td class="wrap soft">{letter.message}</td>
                <td class="right">
                  <Ago time={letter.last_seen_at ?? letter.created_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {letters.length > 50 && <p class="soft">and {count(letters.length - 50)} more</p>}
    </section>
  );
}
