"""What the program says: its texts as the source and the templates hold them, against the catalogue."""
