// Opens one ticket a sender and day at the help desk, whoever asks how often.
export default async (ctx) => {
  const key = `${ctx.channel}/${ctx.sender}/${new Date().toISOString().slice(0, 10)}`;
  const known = await ctx.kv.get(key);
  if (known) return `A person has your request ${known} and will write to you here.`;
  const answer = await ctx.fetch("https://desk.example.com/tickets", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ channel: ctx.channel, sender: ctx.sender, text: ctx.text, history: ctx.history }),
  });
  if (!answer.ok) throw new Error(`the desk answered ${answer.status}`);
  const { id } = await answer.json();
  await ctx.kv.set(key, id);
  return `A person has your request ${id} and will write to you here.`;
};
