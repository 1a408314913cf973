import type { ComponentChildren } from "preact";
import type { Refused } from "../api/client";
import type { Answer } from "../state/answers";
import { CopyMenu } from "./copy";
import { AsOf } from "./moments";

interface Props<A> {
  title: string;
  answer: Answer<A>;
  /** What is shown when there are data, or null where they are empty. */
  children: (data: A) => ComponentChildren | null;
  /** One sentence and what to do, where there is nothing. */
  empty: ComponentChildren;
  tools?: ComponentChildren;
  /** What helps against an error, beside trying again. */
  help?: (error: Refused) => ComponentChildren | null;
  flush?: boolean;
  lines?: number;
}

/** A part of a room that shows one answer: what it is, when it was true, how to ask for it. */
export function Panel<A>(props: Props<A>) {
  const { answer } = props;
  const isAway = answer.error !== null && answer.data !== undefined;
  return (
    <section class={`panel ${isAway ? "away" : ""}`} aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        <div class="end">
          {props.tools}
          <AsOf at={answer.at} stale={isAway} />
          {answer.address && <CopyMenu call={{ method: "GET", address: answer.address }} />}
        </div>
      </header>
      {answer.error && <Problem answer={answer} help={props.help?.(answer.error)} />}
      <Body {...props} />
    </section>
  );
}

function Body<A>({ answer, children, empty, flush, lines = 5 }: Props<A>) {
  if (answer.data === undefined) return answer.error ? null : <Shape lines={lines} />;
  const shown = children(answer.data);
  if (shown === null) return <div class="say">{empty}</div>;
  return <div class={`body ${flush ? "flush" : ""}`}>{shown}</div>;
}

/** The shape of what comes. */
export function Shape({ lines }: { lines: number }) {
  return (
    <div class="shape" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, n) => (
        <i key={n} />
      ))}
    </div>
  );
}

function Problem<A>({ answer, help }: { answer: Answer<A>; help: ComponentChildren }) {
  return (
    <div class="error" role="alert">
      {answer.error!.message} {help ?? <button onClick={answer.again}>Try again</button>}
    </div>
  );
}
