"""python-telegram-bot against the mock: a polling bot that answers, edits, and meets refusals."""
import asyncio
import os

from telegram import Bot
from telegram.constants import ChatAction, ParseMode
from telegram.error import BadRequest, ChatMigrated, Conflict, InvalidToken, RetryAfter
from telegram.ext import Application, MessageHandler, filters

TOKEN = "42:telegram-token-c4n4ry"
base = os.environ["TELEGRAM_URL"] + "/bot"


async def raises(kind, awaitable):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


async def calls():
    async with Bot(TOKEN, base_url=base) as bot:
        assert bot.username == "HelperBot" and bot.id == 42
        sent = await bot.send_message(5, "<b>a &lt; b</b>", parse_mode=ParseMode.HTML)
        assert sent.text == "a < b" and sent.chat_id == 5
        edited = await bot.edit_message_text("c", 5, sent.message_id)
        assert edited.text == "c"
        error = await raises(BadRequest, bot.edit_message_text("c", 5, sent.message_id))
        assert "not modified" in error.message, error
        error = await raises(BadRequest, bot.send_message(5, "<b>x", parse_mode=ParseMode.HTML))
        assert "can't parse entities" in error.message.lower(), error
        error = await raises(BadRequest, bot.send_message(5, "x" * 4097))
        assert error.message == "Message is too long", error
        error = await raises(ChatMigrated, bot.send_message(-7, "x"))
        assert error.new_chat_id == -1007
        assert await bot.send_chat_action(5, ChatAction.TYPING)
        error = await raises(RetryAfter, bot.send_message(429, "limited"))
        assert error.retry_after == 1 or error.retry_after.total_seconds() == 1, error.retry_after
    await raises(InvalidToken, Bot("42:wrong", base_url=base).get_me())


async def answer(update, context):
    message = update.message
    if message.text == "quit":
        context.application.stop_running()
        return
    sent = await message.reply_text("…")
    await sent.edit_text(f"echo {message.text}")


asyncio.run(calls())
app = Application.builder().token(TOKEN).base_url(base).build()
app.add_handler(MessageHandler(filters.TEXT, answer))
app.run_polling(timeout=2, drop_pending_updates=False)
