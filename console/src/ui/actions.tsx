import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { command, Refused } from "../api/client";

interface Props {
  label: string;
  /** What it will do, in numbers, before the button works; without it, it is done at once. */
  says?: ComponentChildren;
  method?: "POST" | "DELETE" | "PUT";
  address: string;
  body?: unknown;
  main?: boolean;
  disabled?: boolean;
  onDone?: (answer: unknown) => void;
}

/** A button that sends a command, and shows what was refused in the API's own words. */
export function Act(props: Props) {
  const [state, setState] = useState<"idle" | "asking" | "sending">("idle");
  const [refused, setRefused] = useState<string | null>(null);
  const send = async () => {
    setState("sending");
    setRefused(null);
    try {
      props.onDone?.(await command(props.method ?? "POST", props.address, props.body));
    } catch (error) {
      setRefused(error instanceof Refused ? error.message : String(error));
    }
    setState("idle");
  };
  return (
    <>
      <button
        class={props.main ? "main" : ""}
        disabled={(props.disabled ?? false) || state === "sending"}
        onClick={() => (props.says ? setState("asking") : void send())}
      >
        {state === "sending" ? "…" : props.label}
      </button>
      {refused && (
        <span class="loss" role="alert">
          {refused}
        </span>
      )}
      {state === "asking" && (
        <Confirm title={props.label} onYes={() => void send()} onNo={() => setState("idle")}>
          {props.says}
        </Confirm>
      )}
    </>
  );
}

function Confirm(props: {
  title: string;
  children: ComponentChildren;
  onYes: () => void;
  onNo: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={props.onNo} aria-label={props.title}>
      <h2>{props.title}</h2>
      <div>{props.children}</div>
      <div class="row">
        <button onClick={props.onNo}>Leave it</button>
        <button class="main" onClick={props.onYes}>
          {props.title}
        </button>
      </div>
    </dialog>
  );
}
