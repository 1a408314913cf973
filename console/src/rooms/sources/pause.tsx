import { addressOf } from "../../api/client";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";

const changed = () => outdate("/pauses", "/sources", "/schedules");

/** Pauses and resumes a source, a stream, `schedule/…`, or everything (`*`). */
export function Pause({ what, label }: { what: string; label?: string }) {
  const paused = useAnswer("/pauses").data?.find((each) => each.what === what);
  const address = addressOf(`/pauses/${what.split("/").map(encodeURIComponent).join("/")}`);
  if (paused) {
    return (
      <Act
        label={label ? `Resume ${label}` : "Resume"}
        method="DELETE"
        address={address}
        onDone={changed}
      />
    );
  }
  return (
    <Act
      label={label ? `Pause ${label}` : "Pause"}
      says={
        <p>
          Runs leave out <strong>{what === "*" ? "everything" : what}</strong> until it is resumed.
          Tasks that are at work go on.
        </p>
      }
      method="PUT"
      address={address}
      body={{}}
      onDone={changed}
    />
  );
}
