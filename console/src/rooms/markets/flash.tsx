import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** Flashes once when a value has changed; the layout does not move. */
export function Flash({ value, children }: { value: number; children: ComponentChildren }) {
  const before = useRef(value);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (before.current === value) return;
    before.current = value;
    setTurn((n) => n + 1);
  }, [value]);
  return (
    <span key={turn} class={turn ? "flash" : ""}>
      {children}
    </span>
  );
}
