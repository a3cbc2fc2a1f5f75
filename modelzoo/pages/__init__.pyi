from .interactive import write_page as write_page
from .page import describe as describe
from .page import render as render
from .subject import Subject as Subject
from .subject import read_subject as read_subject
