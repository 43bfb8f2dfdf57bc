// Finds the server of a run: PARLOUR_DEV_JSON is the line `parlour dev --json` printed; PARLOUR_DEV_COMMAND is a command that prints it.
// A command that was started is stopped again, with all it started itself.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export async function findServer() {
  const { PARLOUR_DEV_JSON: line, PARLOUR_DEV_COMMAND: command } = process.env;
  if (line) return { dev: JSON.parse(line), stop: () => undefined };
  if (!command) throw new Error("set PARLOUR_DEV_JSON or PARLOUR_DEV_COMMAND");
  const child = spawn(command, { shell: true, detached: true, stdio: ["ignore", "pipe", "inherit"] });
  const stop = () => {
    try {
      process.kill(-child.pid, "SIGTERM");
    } catch {
      // gone already
    }
  };
  for await (const first of createInterface(child.stdout)) return { dev: JSON.parse(first), stop };
  throw new Error(`nothing was printed by: ${command}`);
}
