"""Telling people of a run: chat, mail, pager. It happens beside the training and never holds it up."""
