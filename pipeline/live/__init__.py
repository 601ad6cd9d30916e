"""The command `live`: cameras in, the newest scene out, or an honest "no signal"."""
