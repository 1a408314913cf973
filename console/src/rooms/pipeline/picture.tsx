import type { Schemas } from "../../api/client";
import { count, plural } from "../../format/numbers";

const SERVICES = ["extractor", "normalizer", "loader", "gateway"] as const;
const TOPICS = ["ingest.raw", "ingest.unified", "PostgreSQL"];
const [WIDE, GAP, TALL] = [120, 110, 108];
type Instance = Schemas["ServiceInstance"];

/** Four services and what lies between them: how many there are, how fast, and what waits. */
export function Picture(props: { lag: Record<string, number>; instances: Instance[] }) {
  const whole = SERVICES.length * WIDE + (SERVICES.length - 1) * GAP;
  return (
    <div class="scroll" tabIndex={0}>
      <svg viewBox={`0 0 ${whole} ${TALL}`} width={whole} role="img" aria-label="The pipeline">
        {SERVICES.map((name, n) => {
          const x = n * (WIDE + GAP);
          const own = props.instances.filter((each) => each.service === name && each.alive);
          return (
            <g key={name}>
              <rect
                x={x + 1}
                y="20"
                width={WIDE - 2}
                height="44"
                rx="6"
                fill="var(--accent-back)"
                stroke="var(--accent)"
              />
              <text x={x + WIDE / 2} y="40" text-anchor="middle" fill="var(--text)" font-size="14">
                {name}
              </text>
              <text x={x + WIDE / 2} y="56" text-anchor="middle" fill="var(--soft)" font-size="11">
                {plural(own.length, "instance")}
              </text>
              <text x={x + WIDE / 2} y="82" text-anchor="middle" fill="var(--soft)" font-size="12">
                {waiting(props.lag, name)}
              </text>
              <text x={x + WIDE / 2} y="100" text-anchor="middle" fill="var(--soft)" font-size="12">
                {name === "gateway" ? "" : speed(own)}
              </text>
              {n < TOPICS.length && <Topic x={x + WIDE} name={TOPICS[n]!} />}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function Topic({ x, name }: { x: number; name: string }) {
  return (
    <>
      <path
        d={`M${x + 4} 42h${GAP - 14}m-6 -5l6 5l-6 5`}
        fill="none"
        stroke="var(--grey)"
        stroke-width="1.5"
      />
      <text x={x + GAP / 2} y="34" text-anchor="middle" fill="var(--soft)" font-size="11">
        {name}
      </text>
    </>
  );
}

function waiting(lag: Record<string, number>, service: string): string {
  const found = Object.entries(lag).filter(([group]) => group.includes(service));
  if (!found.length) return "";
  const sum = found.reduce((whole, [, each]) => whole + each, 0);
  return sum ? `${count(sum)} waiting` : "nothing waits";
}

function speed(instances: Instance[]): string {
  const sum = instances.reduce((whole, each) => whole + each.records_per_second, 0);
  return `${count(Math.round(sum))} records/s`;
}
