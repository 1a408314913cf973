import type { Schemas } from "../../api/client";

/** A headline with its words coloured by what they count. */
export function Words({ of: version }: { of: Schemas["Version"] }) {
  const weights = (version.sentiment?.["words"] ?? {}) as Record<string, number>;
  const title = String(version.values["title"] ?? "");
  return (
    <p>
      <Weighted text={title} weights={weights} />
    </p>
  );
}

export function Weighted({ text, weights }: { text: string; weights: Record<string, number> }) {
  const parts = text.split(/([\p{L}\p{N}'’-]+)/u);
  return (
    <>
      {parts.map((part, n) => {
        const word = [part.toLowerCase(), part].find((each) => Object.hasOwn(weights, each));
        if (word === undefined) return part;
        const weight = weights[word]!;
        const title = `${weight > 0 ? "+" : ""}${weight}`;
        return weight < 0 ? (
          <span key={n} title={title} class="lowers">
            {part}
          </span>
        ) : (
          <span key={n} title={title} class="raises">
            {part}
          </span>
        );
      })}
    </>
  );
}
