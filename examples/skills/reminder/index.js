// /remind TEXT keeps a line; /remind alone tells them; by time they are told and forgotten.
module.exports = async (ctx) => {
  const lines = (await ctx.kv.get("lines")) ?? [];
  const told = lines.map((line) => `- ${line}`).join("\n");
  if (!ctx.match) {
    await ctx.kv.delete("lines");
    return told && `Today:\n${told}`;
  }
  if (!ctx.args) return told || "Nothing to remember.";
  await ctx.kv.set("lines", [...lines, ctx.args].slice(-50));
  return `I will remind you: ${ctx.args}`;
};
