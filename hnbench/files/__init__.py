"""What crosses between the program and a disk or a screen: written whole, read with a schema,
escaped.
"""
