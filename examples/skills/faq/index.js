import faq from "./faq.md";

const entries = faq.split(/^# /m).slice(1).map((entry) => {
  const [question, ...answer] = entry.split("\n");
  return { question, answer: answer.join("\n").trim() };
});
// Latin words of three letters and more; of Chinese every two letters beside each other.
const words = (text) => {
  const latin = text.toLowerCase().match(/[a-z]{3,}/g) ?? [];
  const chinese = text.match(/\p{Script=Han}+/gu) ?? [];
  return new Set([...latin, ...chinese.flatMap((run) => [...run].slice(1).map((letter, at) => [...run][at] + letter))]);
};

/** The answer to the question that shares at least two words with the text; else nothing, and the model answers. */
export default (ctx) => {
  const asked = words(ctx.tool ? String(ctx.args.question) : ctx.text);
  const rated = entries.map((entry) => {
    const known = words(entry.question);
    return { entry, shared: [...known].filter((word) => asked.has(word)).length, of: known.size };
  });
  rated.sort((a, b) => b.shared - a.shared);
  const [best] = rated;
  return best && best.shared >= Math.min(2, best.of) ? best.entry.answer : undefined;
};
