import type { Schemas } from "../../api/client";
import { addressOf } from "../../api/client";
import { count, plural, share } from "../../format/numbers";
import { day } from "../../format/times";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Panel } from "../../ui/panel";
import { Go } from "../../ui/parts";
import { Strip, type Piece } from "../../ui/strip";

type Series = Schemas["Coverage"];
type Cause = Schemas["Cause"];
/** Each with a colour and words; what could be mended stands out. */
const CAUSES: Record<Cause, [string, string]> = {
  never_asked: ["--grey", "never asked"],
  failed: ["--loss", "failed"],
  rejected: ["--care", "rejected"],
  skipped: ["--soft", "carries nothing"],
  no_data: ["--line", "the source has none"],
  retired: ["--text", "taken out of sight"],
  unknown: ["--soft", "unknown"],
  not_yet: ["--line", "not over yet"],
};

/** What is there of each series of a coin, and the cause of every hole. */
export function Coverage({ symbol, asOf }: { symbol: string; asOf: string | undefined }) {
  const coverage = useAnswer("/coverage", { symbol, limit: 20 });
  return (
    <Panel
      title={asOf ? "Coverage, as it is now" : "Coverage"}
      answer={coverage}
      lines={3}
      empty="No series of this coin has data points."
    >
      {(series) => {
        const priced = series.filter((each) => each.kind !== "news");
        const shown = priced.filter((each) => !isGone(each));
        if (!priced.length) return null;
        const gone = priced.length - shown.length;
        return (
          <>
            <div class="columns">
              {shown.map((each) => (
                <OfSeries key={each.ids[0]} of={each} />
              ))}
            </div>
            {gone > 0 && (
              <p class="soft">
                {count(gone)} more series {gone === 1 ? "is" : "are"} out of sight: taken out, or
                read otherwise since.
              </p>
            )}
          </>
        );
      }}
    </Panel>
  );
}

function isGone(series: Series): boolean {
  return series.points === 0 && series.holes.every((hole) => hole.cause === "retired");
}

/** Just before an end that is not included: of a moment a microsecond behind it. */
function lastOf(end: string): string {
  if (/\.\d{3}\d*[1-9]/.test(end)) return end;
  return new Date(Date.parse(end) - 1).toISOString();
}

function OfSeries({ of: series }: { of: Series }) {
  const [first, last] = [Date.parse(series.from), Date.parse(series.to)];
  const length = last - first || 1;
  const pieces: Piece[] = [
    { from: 0, to: 1, colour: "--gain", text: `there: ${count(series.points)} points` },
    ...series.holes.map((hole) => ({
      from: (Date.parse(hole.from) - first) / length,
      to: (Date.parse(hole.to) - first) / length,
      colour: CAUSES[hole.cause][0],
      text: sentence(hole),
    })),
  ];
  const causes = [...new Set(series.holes.map((hole) => hole.cause))];
  const canFill = series.holes.some((hole) => hole.can_fill);
  return (
    <div>
      <div class="row">
        <strong>{series.dataset}</strong>
        <span class="soft">
          {series.kind} {series.interval} {series.currency} · {day(series.from)} to{" "}
          {day(lastOf(series.to))}
        </span>
        <span>{share(series.completeness)}</span>
        {canFill && <FillHoles of={series} />}
      </div>
      <Strip pieces={pieces} label={`Coverage of ${series.dataset}`} />
      {series.holes.length > 0 && <Holes of={series.holes} />}
      <div class="legend">
        <Key colour="--gain" text="there" />
        {causes.map((cause) => (
          <Key key={cause} colour={CAUSES[cause][0]} text={CAUSES[cause][1]} />
        ))}
      </div>
    </div>
  );
}

function Key({ colour, text }: { colour: string; text: string }) {
  return (
    <span>
      <svg viewBox="0 0 9 9" aria-hidden="true">
        <rect width="9" height="9" rx="2" fill={`var(${colour})`} />
      </svg>
      {text}
    </span>
  );
}

const MOST = 50;

/** Every hole in words, with the way to what caused it. */
function Holes({ of: holes }: { of: Schemas["Hole"][] }) {
  return (
    <details>
      <summary>{plural(holes.length, "hole")}</summary>
      <ul>
        {holes.slice(0, MOST).map((hole) => (
          <li key={hole.from}>
            {sentence(hole)}{" "}
            {hole.cause === "rejected" && (
              <Go to={{ room: "inbox", ...(hole.reason && { reason: hole.reason }) }}>inbox</Go>
            )}
            {hole.run_id && <Go to={{ room: "runs", run: hole.run_id }}>run</Go>}
          </li>
        ))}
        {holes.length > MOST && <li>and {count(holes.length - MOST)} more</li>}
      </ul>
    </details>
  );
}

function sentence(hole: Schemas["Hole"]): string {
  const missing = hole.missing === null ? "" : `, ${count(hole.missing)} missing`;
  const why = hole.reason ? ` (${hole.reason})` : "";
  return `${day(hole.from)} to ${day(hole.to)}${missing}: ${CAUSES[hole.cause][1]}${why}`;
}

function FillHoles({ of: series }: { of: Series }) {
  const body = { source: series.source, symbol: series.symbol, dataset: series.dataset };
  const plan = useAnswer("/sources");
  const budget = plan.data?.find((each) => each.name === series.source)?.budget;
  return (
    <Act
      label="Fill what can be filled"
      says={
        <p>
          It asks {series.source} for the holes that it can fill
          {budget?.per_month &&
            `; ${count(budget.per_month - budget.used)} calls are left this month`}
          .
        </p>
      }
      address={addressOf("/coverage/fill")}
      body={body}
      onDone={() => outdate("/coverage", "/stats")}
    />
  );
}
