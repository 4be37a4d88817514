"""The shared vocabulary and every decision. Pure: no web, queue, torch or network import."""
