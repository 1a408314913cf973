import { exact, percent, price } from "../format/numbers";

/** A price by its size, exact in the tooltip. */
export function Price({ value }: { value: number | null | undefined }) {
  return <span title={exact(value)}>{price(value)}</span>;
}

/** A change: colour and sign say the same. `old`: it is not one of today. */
export function Change(props: { value: number | null | undefined; old?: boolean }) {
  const { value } = props;
  if (value == null) return <span class="soft">–</span>;
  const way = props.old ? "soft" : value > 0 ? "gain" : value < 0 ? "loss" : "soft";
  const title = props.old ? "up to the last price, which is old" : undefined;
  return (
    <span class={way} title={title}>
      {percent(value)}
    </span>
  );
}

/** The sentiment of news, from −1 to 1. */
export function Mood({ value }: { value: number | null | undefined }) {
  if (value == null) return <span class="soft">–</span>;
  const isNone = Math.abs(value) < 0.005;
  const word = isNone ? "neutral" : value > 0 ? "positive" : "negative";
  const way = isNone ? "soft" : value > 0 ? "gain" : "loss";
  return (
    <span class={way} title={`${value} (−1 to 1)`}>
      {word} {Math.abs(value).toFixed(2)}
    </span>
  );
}

/** A line through values at equal distances; it goes straight over what is null. */
export function Spark({ values, label }: { values: (number | null)[]; label: string }) {
  const known = values.filter((each): each is number => each !== null);
  if (known.length < 2) return <span class="soft">–</span>;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const [wide, tall] = [110, 28];
  const x = (n: number) => (n / (values.length - 1)) * (wide - 2) + 1;
  const y = (each: number) => tall - 2 - ((each - low) / (high - low || 1)) * (tall - 4);
  let path = "";
  values.forEach((each, n) => {
    if (each === null) return;
    path += `${path ? "L" : "M"}${x(n).toFixed(1)} ${y(each).toFixed(1)}`;
  });
  const rises = known[known.length - 1]! >= known[0]!;
  return (
    <svg width={wide} height={tall} role="img" aria-label={label}>
      <path
        d={path}
        fill="none"
        stroke={`var(--${rises ? "gain" : "loss"})`}
        stroke-width="1.4"
        stroke-linejoin="round"
      />
    </svg>
  );
}
