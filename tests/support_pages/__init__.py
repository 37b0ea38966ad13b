"""What tests/pages.py is made of: a page, and the checks that hold it to the code."""
