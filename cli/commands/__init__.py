"""One command a file, imported when it is used: `cli.main` has the table.

A command is declared with Click (`cli.parameters`) if people wait for it, or with Typer (`cli.options`) if it
loads much more than Typer anyway. The table names the object: a Click command or a Typer.
"""
