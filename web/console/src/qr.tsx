// A link as a QR code, drawn here as one SVG path: the secret goes to no service. The encoder is loaded when first needed.
import { useEffect, useState } from "preact/hooks";
import { S } from "./strings.ts";

export function Qr({ text }: { text: string }) {
  const [code, setCode] = useState<{ path: string; size: number } | null>(null);
  useEffect(() => {
    let gone = false;
    import("uqr")
      .then(({ encode }) => {
        const { data, size } = encode(text, { border: 0, ecc: "M" });
        if (!gone) setCode({ path: outline(data), size });
      })
      .catch(() => undefined); // without it the link can still be copied
    return () => {
      gone = true;
    };
  }, [text]);
  if (!code) return <div class="qr empty" aria-hidden="true" />;
  const box = code.size + 6;
  return (
    <svg class="qr" viewBox={`-3 -3 ${box} ${box}`} role="img" aria-label={S.qr} shape-rendering="crispEdges">
      <rect x="-3" y="-3" width={box} height={box} rx="2" fill="#fff" />
      <path d={code.path} fill="#111" />
    </svg>
  );
}

/** Every dark run of a row as one rectangle. */
function outline(rows: boolean[][]): string {
  let path = "";
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      const from = x;
      while (row[x + 1]) x += 1;
      path += `M${from} ${y}h${x - from + 1}v1h-${x - from + 1}z`;
    }
  });
  return path;
}
