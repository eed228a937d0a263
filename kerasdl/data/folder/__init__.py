"""Data in folders: layouts, masks, and the file that describes them."""
