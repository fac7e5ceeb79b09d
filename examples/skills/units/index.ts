import { convert, type Unit } from "./convert.ts";

interface Asked { value: number; from: Unit; to: Unit }

export default (ctx: any): string => {
  const line = /^(-?\d+(?:\.\d+)?) ?([a-z]+) (?:in|to) ([a-z]+)$/i.exec(ctx.tool ? "" : ctx.args || ctx.text);
  const asked: Asked = ctx.tool ? ctx.args : { value: Number(line?.[1]), from: line?.[2] as Unit, to: line?.[3] as Unit };
  const result = convert(Number(asked.value), asked.from, asked.to);
  if (result === undefined) return "Write for example: /convert 3 mi to km";
  return `${asked.value} ${asked.from} = ${Number(result.toPrecision(6))} ${asked.to}`;
};
