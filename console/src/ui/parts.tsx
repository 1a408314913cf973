import type { ComponentChildren, TargetedMouseEvent } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { addressOfPlace, go, type Place } from "../state/place";

/** A link to a place of the console. */
export function Go(props: {
  to: Partial<Place>;
  children: ComponentChildren;
  current?: boolean;
  class?: string;
}) {
  const follow = (event: TargetedMouseEvent<HTMLAnchorElement>) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    event.stopPropagation(); // a row that it stands in goes there too
    go(props.to);
  };
  return (
    <a
      href={addressOfPlace(props.to)}
      onClick={follow}
      class={props.class}
      aria-current={props.current ? "page" : undefined}
    >
      {props.children}
    </a>
  );
}

export type Tone = "good" | "warn" | "bad" | "";

export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

export function Dot({ tone }: { tone: Tone }) {
  return <span class={`dot ${tone}`} aria-hidden="true" />;
}

const TONES: Record<string, Tone> = {
  succeeded: "good",
  partial: "warn",
  incomplete: "warn",
  cancelled: "warn",
  failed: "bad",
  running: "",
  queued: "",
};

export function Status({ of }: { of: string }) {
  return <Badge tone={TONES[of] ?? ""}>{of}</Badge>;
}

/** Says of the sample that comes with the product what it is. */
export function MadeUp({ dataset }: { dataset: string }) {
  return dataset === "made-up-sample" ? <Badge tone="warn">made up</Badge> : null;
}

/** A few values of which one is chosen. */
export function Choice<V extends string>(props: {
  label: string;
  values: readonly V[];
  value: V;
  onChange: (value: V) => void;
  /** Why a value cannot be chosen, or null. */
  cannot?: (value: V) => string | null;
}) {
  return (
    <div class="choice" role="group" aria-label={props.label}>
      {props.values.map((each) => (
        <button
          key={each}
          aria-pressed={each === props.value}
          disabled={Boolean(props.cannot?.(each)) && each !== props.value}
          title={props.cannot?.(each) ?? undefined}
          onClick={() => props.onChange(each)}
        >
          {each}
        </button>
      ))}
    </div>
  );
}

/** Detail beside what it belongs to, which stays in sight. Escape closes it. */
export function Drawer(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    close.current?.focus();
    const onKey = (event: KeyboardEvent) => {
      // A dialog that lies over it takes the key first.
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) props.onClose();
    };
    addEventListener("keydown", onKey);
    return () => {
      removeEventListener("keydown", onKey);
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <section class="drawer" role="dialog" aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        <button class="quiet" ref={close} onClick={props.onClose} aria-label="Close">
          ✕
        </button>
      </header>
      <div class="body">{props.children}</div>
    </section>
  );
}

/** Names and what they are, a line each. Values that are null are left out. */
export function Facts({ of }: { of: Record<string, ComponentChildren> }) {
  const known = Object.entries(of).filter(([, value]) => value != null && value !== "");
  return (
    <dl class="facts">
      {known.map(([name, value]) => [
        <dt key={name}>{name}</dt>,
        <dd key={`${name}=`}>{value}</dd>,
      ])}
    </dl>
  );
}
