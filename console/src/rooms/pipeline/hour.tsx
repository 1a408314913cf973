import { MINUTES } from "./rates";

const TALL = 56;
const WIDE = 10; // of a minute

/** One number over the last hour, a bar a minute; what is not known is a line on the ground. */
export function Hour(props: {
  title: string;
  values: (number | null)[];
  text: (value: number) => string;
}) {
  const { title, values, text } = props;
  const most = Math.max(...values.map((each) => each ?? 0));
  const label = `${title}, ${text(most)} at most`;
  return (
    <div>
      <div class="soft">{label}</div>
      <svg
        viewBox={`0 0 ${MINUTES * WIDE} ${TALL}`}
        preserveAspectRatio="none"
        width="100%"
        height={TALL}
        role="img"
        aria-label={label}
      >
        {values.map((value, n) => {
          const tall = Math.max(1, ((value ?? 0) / (most || 1)) * TALL);
          return (
            <rect
              key={n}
              x={n * WIDE}
              y={TALL - tall}
              width={WIDE - 2}
              height={tall}
              fill={value ? "var(--accent)" : "var(--line)"}
            >
              <title>{said(MINUTES - 1 - n, value === null ? "not known" : text(value))}</title>
            </rect>
          );
        })}
      </svg>
      <div class="row soft">
        <span>an hour ago</span>
        <span class="last">now</span>
      </div>
    </div>
  );
}

function said(minutes: number, text: string): string {
  return minutes ? `${minutes} min ago: ${text}` : `now: ${text}`;
}
