// Asks the shop's own service; the address must stand in permissions.net too.
export default async (ctx) => {
  const said = ctx.tool ? ctx.args.id : (ctx.match?.groups?.id ?? ctx.text.match(/\d+/)?.[0]);
  if (!said) return "Which order? Write /order and its number.";
  const answer = await ctx.fetch(`https://api.example.com/orders/${encodeURIComponent(said)}`, {
    headers: { authorization: `Bearer ${await ctx.secret("ORDER_TOKEN")}` },
  });
  if (answer.status === 404) return `There is no order ${said}.`;
  if (!answer.ok) throw new Error(`the shop answered ${answer.status}`);
  const { status } = await answer.json();
  return `Order ${said}: ${status}.`;
};
