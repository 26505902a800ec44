// Says $GREETING, prints the file its first argument names, and fails if its second one is not 0.
import { getArguments, getEnvironment } from "wasi:cli/environment@0.2.10";
import { getDirectories } from "wasi:filesystem/preopens@0.2.10";

/** Reads a file: each volume of the pod is a folder that is open already. */
function read(path) {
  for (const [folder, name] of getDirectories()) {
    const inside = name === "/" ? path.slice(1) : path.slice(name.length + 1);
    if (name !== "/" && !path.startsWith(`${name}/`)) continue;
    try {
      const file = folder.openAt({ symlinkFollow: true }, inside, {}, { read: true });
      const [bytes] = file.read(65536n, 0n);
      return new TextDecoder().decode(bytes);
    } catch (error) {
      console.error(`${path}: ${error.payload ?? error}`);
    }
  }
  throw new Error(`${path}: no such file`);
}

export const run = {
  run() {
    const greeting = new Map(getEnvironment()).get("GREETING");
    console.log(`JavaScript says ${greeting}`);
    const [, path, code] = getArguments();
    if (path) console.log(read(path).trimEnd());
    // An exit code of WASI 0.2 is "well" or "not well".
    if (Number(code ?? 0) !== 0) throw undefined;
  },
};
