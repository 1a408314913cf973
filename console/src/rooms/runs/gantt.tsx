import type { Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { span } from "../../format/times";
import { useNow } from "../../ui/moments";
import { Status } from "../../ui/parts";
import { Strip } from "../../ui/strip";

type Task = Schemas["Task"];
const MOST = 200;
const COLOURS: Record<string, string> = { failed: "--loss", running: "--accent" };

/** When each task ran, and how far it is. */
export function Gantt({ tasks }: { tasks: Task[] }) {
  const now = useNow();
  const times = tasks.flatMap((task) =>
    task.started_at ? [Date.parse(task.started_at), endOf(task, now)] : [],
  );
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const length = last - first || 1;
  return (
    <div class="scroll" tabIndex={0}>
      <table>
        <tbody>
          {tasks.slice(0, MOST).map((task) => (
            <tr key={task.task_id}>
              <td class="wrap">
                {task.stream}
                {task.error && <div class="loss">{task.error.message}</div>}
                {task.notes.map((note) => (
                  <div key={note} class="soft">
                    {note}
                  </div>
                ))}
              </td>
              <td>
                <Status of={task.status} />
              </td>
              <td class="right">{count(task.records)}</td>
              <td class="right">
                {task.started_at
                  ? span((endOf(task, now) - Date.parse(task.started_at)) / 1e3)
                  : "–"}
              </td>
              <td width="30%">
                {task.started_at && (
                  <Strip
                    label={`When ${task.stream} ran`}
                    pieces={[
                      {
                        from: (Date.parse(task.started_at) - first) / length,
                        to: (endOf(task, now) - first) / length,
                        colour: COLOURS[task.status] ?? "--gain",
                        text: task.status,
                      },
                    ]}
                  />
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {tasks.length > MOST && <p class="say">and {count(tasks.length - MOST)} more</p>}
    </div>
  );
}

function endOf(task: Task, now: number): number {
  return task.finished_at ? Date.parse(task.finished_at) : now;
}
